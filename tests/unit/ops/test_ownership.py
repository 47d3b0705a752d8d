"""Which clusters count as a stack's when its configuration has another name by now."""

from datetime import UTC, datetime, timedelta

import pytest

from ops.account.ownership import Attempt, Past

UP = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAST = Past({"in-the-state"}, [Attempt("tried", UP, UP + timedelta(minutes=8)), Attempt("killed")])


def cluster(name: str, created: datetime = UP, identifier: str = "1") -> dict[str, str]:
    return {"id": identifier, "name": name, "created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}"}


@pytest.mark.parametrize(
    "found",
    [
        cluster("renamed", identifier="in-the-state"),
        cluster("tried", UP + timedelta(minutes=1)),
        # DigitalOcean's clock is not this machine's.
        cluster("tried", UP - timedelta(minutes=1)),
        cluster("killed"),
    ],
)
def test_what_an_update_of_the_stack_made_is_the_stacks(found: dict[str, str]) -> None:
    assert PAST.made(found)


@pytest.mark.parametrize(
    "found",
    [
        cluster("never-tried"),
        # The name was another's: the up that tried it was refused.
        cluster("tried", UP - timedelta(days=1)),
        cluster("tried", UP + timedelta(days=1)),
    ],
)
def test_what_bears_a_name_that_the_stack_tried_at_another_time_is_not(found: dict[str, str]) -> None:
    assert not PAST.made(found)
