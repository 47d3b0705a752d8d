"""Objects in the cluster beside those of the state."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from ops.cluster.client import Kubernetes
from ops.cluster.object_fields import changed_fields
from ops.cluster.objects import Change, Key, compare
from ops.pulumi.state import State


class Cluster:
    """A cluster that has Services and nothing else."""

    def __init__(self, *services: dict[str, Any]) -> None:
        self.services = services

    kinds = Kubernetes.kinds

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


def deployment(replicas: int, manager: str) -> dict[str, Any]:
    owned: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {"f:restartPolicy": {}}}, "f:replicas": {}}}
    managed = [
        {"manager": "pulumi-kubernetes-1a2b", "fieldsV1": {"f:spec": {"f:selector": {".": {}}}}},
        {"manager": manager, "fieldsV1": owned},
    ]
    metadata = {"name": "foo", "namespace": "default", "managedFields": managed}
    return {"metadata": metadata, "spec": {"replicas": replicas, "template": {"spec": {"restartPolicy": "Always"}}}}


class Deployments(Cluster):
    """A cluster that has one Deployment and nothing else."""

    kinds = Kubernetes.kinds

    def find(self, path: str) -> dict[str, Any] | None:
        return {"resources": [{"kind": "Deployment", "name": "deployments"}]} if path == "/apis/apps/v1" else None

    def items(self, path: str, accept: str) -> Iterator[dict[str, Any]]:
        assert (path, accept) == ("/apis/apps/v1/deployments", "application/json")
        yield from self.services


def test_a_nested_field_that_another_client_owns_is_a_change() -> None:
    inputs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "foo"}, "spec": {"replicas": 1}}
    state = State([{"type": "kubernetes:apps/v1:Deployment", "id": "default/foo", "inputs": inputs}], [])

    def changed(live: dict[str, Any]) -> list[Change]:
        return compare(cast("Kubernetes", Deployments(live)), state).changed

    key = Key("apps/v1", "Deployment", "default", "foo")
    assert changed(deployment(3, "kubectl")) == [Change(key, ["spec.replicas"], ["kubectl"])]
    assert changed(deployment(1, "kubectl")) == []
    # The API server's own change of Pulumi's value.
    assert changed(deployment(3, "pulumi-kubernetes-1a2b")) == []


@pytest.mark.parametrize("stack_value", [False, 0, ""])
def test_an_empty_value_that_another_client_changed_is_a_change(stack_value: object) -> None:
    inputs = {"metadata": {}, "config": {"key_in_query": stack_value}}
    managed = [{"manager": "kubectl-edit", "fieldsV1": {"f:config": {"f:key_in_query": {}}}}]

    def changed(**config: object) -> dict[str, str]:
        live = {"metadata": {"managedFields": managed}, "config": config}
        return changed_fields("KongPlugin", inputs, live, report_missing=True)

    assert changed(key_in_query=True) == {"config.key_in_query": "kubectl-edit"}
    assert changed(key_in_query=stack_value) == {}
    assert changed() == {}, "the API server leaves empty values out"
