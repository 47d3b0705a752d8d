"""Pods that a drain evicts, waits for or refuses."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest

from ops.cluster import drain as module
from ops.cluster.drain import check_controllers, drain
from ops.errors import OpsError

if TYPE_CHECKING:
    from ops.cluster.client import Kubernetes


def pod(name: str, **metadata: object) -> dict[str, Any]:
    owners = [{"kind": "StatefulSet", "controller": True}]
    known = {"namespace": "default", "name": name, "uid": str(uuid4()), "ownerReferences": owners}
    return {"metadata": known | metadata}


class Node:
    """A node of a cluster. A pod that is evicted is gone; one that is already ending is gone at the second look.

    Its StatefulSet starts another of the same name, which comes to this node again if it tolerates the cordon.
    """

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = list(pods)
        self.evicted: list[str] = []
        self.changes: list[object] = []

    def find(self, path: str) -> dict[str, Any] | None:
        return {"kind": "Node"} if path.endswith("/here") else None

    def merge(self, path: str, change: object) -> None:
        self.changes.append((path, change))

    def items(self, _: str, **query: str) -> Iterator[dict[str, Any]]:
        if query != {"fieldSelector": "spec.nodeName=here"}:
            return
        yield from self.pods
        self.pods = [pod for pod in self.pods if "deletionTimestamp" not in pod["metadata"]]

    def evict(self, _: str, name: str) -> bool:
        self.evicted.append(name)
        (evicted,) = [entry for entry in self.pods if entry["metadata"]["name"] == name]
        self.pods.remove(evicted)
        if spec := evicted.get("spec"):
            self.pods.append(pod(name) | {"spec": spec})
        return True


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0)


def test_a_pod_that_is_ending_is_waited_for_and_not_evicted_again() -> None:
    node, reports = Node(pod("a"), pod("b", deletionTimestamp="2026-01-01T00:00:00Z")), list[str]()
    drain(cast("Kubernetes", node), ["here", "gone"], 60, reports.append, force=True)
    assert (node.pods, node.evicted) == ([], ["a"])
    assert node.changes == [("/api/v1/nodes/here", {"spec": {"unschedulable": True}})]
    assert reports == ["2 pods still on the old nodes: default/a, default/b"]


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"operator": "Exists", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
    ],
)
def test_a_pod_that_tolerates_the_cordon_and_comes_back_is_evicted_once(toleration: dict[str, str]) -> None:
    node = Node(pod("a") | {"spec": {"tolerations": [toleration]}})
    drain(cast("Kubernetes", node), ["here"], 60, print, force=True)
    assert node.evicted == ["a"]


@pytest.mark.parametrize("toleration", [{"operator": "Exists", "effect": "NoExecute"}, {"key": "batch"}])
def test_a_pod_that_does_not_tolerate_the_cordon_is_evicted_until_none_is_left(toleration: dict[str, str]) -> None:
    """The scheduler may place a pod on a node that was cordoned a moment ago."""
    node = Node(pod("a") | {"spec": {"tolerations": [toleration]}})
    with pytest.raises(OpsError, match="default/a still ending"):
        drain(cast("Kubernetes", node), ["here"], 0.01, print, force=True)
    assert len(node.evicted) > 1


def test_a_pod_without_a_controller_is_refused_unless_it_is_ending_anyway() -> None:
    ending = pod("b", ownerReferences=[], deletionTimestamp="2026-01-01T00:00:00Z")
    check_controllers(cast("Kubernetes", Node(ending)), ["here"])
    with pytest.raises(OpsError, match=r"^pods without a controller, which would not be recreated: default/a; "):
        check_controllers(cast("Kubernetes", Node(ending, pod("a", ownerReferences=[]))), ["here"])
