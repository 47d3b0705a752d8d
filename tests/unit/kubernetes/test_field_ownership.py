"""Field ownership: conflicts between the stack and other clients over a field."""

from collections.abc import Callable

from tests.unit.configurations import FOO, shared
from tests.unit.conftest import Recording, Resource

CONFIGURATIONS = {
    **shared(
        "canary",
        "domain on an own cluster",
        "domain, canary",
        "example everything",
        "local",
        "own namespace",
        "several gateways",
    ),
    "canary on an own cluster": {
        "stack": "local",
        "config": {"kong-doks:services": [FOO | {"canary": {"image": "user/foo:2"}}]},
    },
}

FORCE = ("pulumi.com/patchForce", "true")


def applied(recording: Recording) -> list[Resource]:
    """The Kubernetes objects that the stack applies itself."""
    return [resource for resource in recording.resources if resource.created and "metadata" in resource.inputs]


def is_forced(resource: Resource) -> bool:
    return FORCE in resource.inputs["metadata"].get("annotations", {}).items()


def test_in_the_stacks_own_cluster_every_object_forces_field_ownership(
    run: Callable[[str], Recording],
) -> None:
    for name in ("dev", "example everything", "several gateways", "canary", "domain, canary", "own namespace"):
        objects = applied(run(name))
        assert len(objects) > 10
        assert [resource.urn for resource in objects if not is_forced(resource)] == []


def test_in_an_existing_cluster_the_gateway_apis_crds_are_never_replaced(
    run: Callable[[str], Recording],
) -> None:
    def definitions(name: str) -> dict[str, bool]:
        return {resource.name: is_forced(resource) for resource in run(name).of("CustomResourceDefinition")}

    assert set(definitions("canary").values()) == {True}
    forced = {name for name, is_forced in definitions("canary on an own cluster").items() if is_forced}
    assert forced == {name for name in definitions("canary on an own cluster") if "konghq.com" in name}
    assert len(definitions("canary on an own cluster")) > len(forced)


def test_in_an_existing_cluster_only_crds_force_field_ownership(
    run: Callable[[str], Recording],
) -> None:
    for name in ("local", "domain on an own cluster"):
        forced = [resource for resource in applied(run(name)) if is_forced(resource)]
        assert {resource.type.rpartition(":")[2] for resource in forced} == {"CustomResourceDefinition"}
