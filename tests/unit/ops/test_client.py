"""Credentials of clusters, as DigitalOcean's API hands them out."""

import pytest
from pydantic import ValidationError

from ops.account.documents import Credentials

COMPLETE = {"server": "https://127.0.0.1", "certificate_authority_data": "eA==", "token": "dop_v1_secret"}


@pytest.mark.parametrize(
    "answer",
    [
        COMPLETE | {"token": "dop_v1_secret\r"},
        COMPLETE | {"token": ["dop_v1_secret"]},
        {key: COMPLETE[key] for key in ("server", "token")},
    ],
)
def test_no_error_contains_a_credential(answer: dict[str, object]) -> None:
    """`connected` prints it."""
    with pytest.raises(ValidationError) as refused:
        Credentials.model_validate(answer)
    assert "secret" not in str(refused.value)


def test_a_credential_is_parsed() -> None:
    assert Credentials.model_validate(COMPLETE).model_dump() == COMPLETE
