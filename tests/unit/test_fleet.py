"""The resource graph of many services grows with their number, not with its square."""

import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.unit.configurations import FLEETS, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = shared(*(f"fleet of {size}" for size in FLEETS))

MEASURES: dict[str, Callable[[Recording], int]] = {
    "resources": lambda recording: len(recording.resources),
    "edges": lambda recording: sum(len(resource.needs) for resource in recording.resources),
    # Without what the cluster and the engine add to each resource.
    "bytes of state": lambda recording: sum(
        len(json.dumps([resource.urn, resource.inputs, resource.needs])) for resource in recording.resources
    ),
}


def per_service(measure: Callable[[Recording], int], smaller: Recording, larger: Recording) -> Fraction:
    """How much of it one more service brings."""
    services = len(larger.of("NetworkPolicy")) - len(smaller.of("NetworkPolicy"))
    return Fraction(measure(larger) - measure(smaller), services)


@pytest.mark.parametrize("name", MEASURES)
def test_resources_for_each_service_are_constant_up_to_300(run: Callable[[str], Recording], name: str) -> None:
    small, medium, large = (run(f"fleet of {size}") for size in FLEETS)
    assert len(large.of("Ingress")) + len(large.of("HTTPRoute")) >= FLEETS[-1]
    assert per_service(MEASURES[name], small, medium) == per_service(MEASURES[name], medium, large)


def test_dependencies_of_a_resource_are_constant_in_a_larger_fleet(run: Callable[[str], Recording]) -> None:
    small, _, large = (run(f"fleet of {size}") for size in FLEETS)
    most = {
        kind: max(len(resource.needs) for resource in small.resources if resource.type == kind)
        for kind in {resource.type for resource in small.resources}
    }
    assert [resource.urn for resource in large.resources if len(resource.needs) > most[resource.type]] == []
