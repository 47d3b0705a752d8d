"""Objects in the cluster beside those of the state."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ops.cluster.objects import Key, compare
from ops.pulumi.state import State

if TYPE_CHECKING:
    from ops.cluster.client import Kubernetes


class Cluster:
    """A cluster that has Services and nothing else."""

    def __init__(self, *services: dict[str, Any]) -> None:
        self.services = services

    def find(self, path: str) -> dict[str, Any] | None:
        return {"resources": [{"kind": "Service", "name": "services"}]} if path == "/api/v1" else None

    def items(self, path: str, accept: str) -> Iterator[dict[str, Any]]:
        assert (path, accept) == ("/api/v1/services", "application/json")
        yield from self.services


def service(name: str, manager: str, **labels: str) -> dict[str, Any]:
    managed = [{"manager": manager, "fieldsV1": {}}]
    return {"metadata": {"name": name, "namespace": "kong", "labels": labels, "managedFields": managed}}


def not_in_state(*services: dict[str, Any]) -> list[Key]:
    return compare(cast("Kubernetes", Cluster(*services)), State([], [])).not_in_state


def test_an_object_created_by_pulumi_and_missing_from_the_state_is_found() -> None:
    assert not_in_state(service("foo", "pulumi-kubernetes-1a2b")) == [Key("v1", "Service", "kong", "foo")]


def test_objects_of_helm_and_other_clients_are_ignored() -> None:
    assert not_in_state(service("foo", "kubectl"), service("kong", "pulumi-kubernetes", owner="helm")) == []
