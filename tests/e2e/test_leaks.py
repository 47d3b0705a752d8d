"""The search for secrets finds them."""

import base64
import json

import pytest

from tests.e2e.leaks import leaks

SECRET = 'a "secret" of more than twenty'  # noqa: S105 -- nobody's


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_leaks_are_found_in_every_encoding(before: str) -> None:
    text = f"{before}{SECRET}:{SECRET}"
    places = {
        "clear": text,
        "json": json.dumps(text),
        "base64": base64.b64encode(text.encode()).decode(),
        "elsewhere": SECRET[1:],
    }
    assert leaks([SECRET], places) == ["clear", "json", "base64"]
