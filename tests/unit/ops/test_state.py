"""The resources of a state that are the stack's own."""

from ops.pulumi.state import REGISTRY, State

STATE = State(
    resources=[
        {"type": REGISTRY, "urn": "urn:kong-doks", "id": "own"},
        # As `registry.existing` leaves it.
        {"type": REGISTRY, "urn": "urn:registry.name", "id": "theirs", "external": True},
    ],
    pending=[],
)


def test_resources_that_the_program_only_reads_are_not_owned() -> None:
    assert STATE.of(REGISTRY).keys() == {"own"}
    assert STATE.read_of(REGISTRY).keys() == {"theirs"}
