"""The resource graph of many services grows with their number, not with its square."""

import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.unit.configurations import FLEETS, PROJECT, shared
from tests.unit.conftest import Recording, Resource

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
    """Returns how much one more service adds to a measure."""
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


def objects_of_services(recording: Recording, *kinds: str) -> list[Resource]:
    """The objects of the fleet's services. There is one of each kind, so that no test of all of them is empty."""
    objects = [resource for kind in kinds for resource in recording.of(kind) if resource.name.startswith("s0")]
    assert {resource.type.rpartition(":")[2] for resource in objects} == set(kinds)
    return objects


def test_objects_of_a_service_depend_on_its_own_policy_alone_for_a_closed_namespace(
    run: Callable[[str], Recording],
) -> None:
    recording = run("fleet of 20")
    for resource in objects_of_services(recording, "Deployment", "Service", "Ingress"):
        closed = [urn.rpartition("$")[2] for urn in resource.needs if "Namespace" in urn or "NetworkPolicy" in urn]
        service = resource.name.removesuffix(".backend").removesuffix("-canary").removesuffix("-stable")
        assert closed == [f"kubernetes:networking.k8s.io/v1:NetworkPolicy::{service}"]
        assert {"Namespace services", "NetworkPolicy default.deny"} <= recording.before(resource)


def test_the_state_of_a_service_has_one_stack_frame_for_each_object(run: Callable[[str], Recording]) -> None:
    recording = run("fleet of 20")
    objects = objects_of_services(recording, "NetworkPolicy", "Deployment", "Service", "Ingress")
    assert {len(resource.frames) for resource in objects} == {1}
    infra = f"{PROJECT.as_uri()}/infra/"
    assert [resource.frames for resource in objects if not resource.frames[0].startswith(infra)] == []
    # The resources beside them show that the recording sees frames.
    assert len(recording.one("Release").frames) > 1
