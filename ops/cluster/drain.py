"""Empties nodes before they are deleted, as `kubectl drain` does: disruption budgets are respected."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from ops.cluster.client import Kubernetes
from ops.errors import OpsError

Document = dict[str, Any]
_PAUSE = 2
_MIRROR = "kubernetes.io/config.mirror"
_DONE = ("Succeeded", "Failed")
_CORDON = "node.kubernetes.io/unschedulable"
"""The taint of a cordoned node; its effect is NoSchedule."""


def drain(
    kubernetes: Kubernetes, nodes: Sequence[str], seconds: float, report: Callable[[str], None], *, force: bool
) -> None:
    """Cordons the nodes, and evicts their pods until none is left.

    A pod that tolerates the cordon may come to the same node again: each is evicted once, as by `kubectl drain`.

    Args:
        kubernetes: the cluster.
        nodes: names; those that are gone are left out.
        seconds: how long at most.
        report: gets the progress.
        force: also pods that nothing starts again.

    Raises:
        OpsError: pods are left, as those that a disruption budget keeps. The nodes stay cordoned.
    """
    if not force:
        check_controllers(kubernetes, nodes)
    existing = [node for node in nodes if kubernetes.find(f"/api/v1/nodes/{node}")]
    for node in existing:
        kubernetes.merge(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})
    end = time.monotonic() + seconds
    remaining = [pod for node in existing for pod in _pods(kubernetes, node)]
    first = {pod["metadata"]["uid"] for pod in remaining}

    def has_to_leave(pod: Document) -> bool:
        return pod["metadata"]["uid"] in first or not _tolerates_cordon(pod)

    while remaining:
        blocked = [_name(pod) for pod in remaining if not _is_going(pod) and not _evict(kubernetes, pod)]
        names = ", ".join(sorted(blocked or map(_name, remaining)))
        if time.monotonic() >= end:
            why = "kept by disruption budgets" if blocked else "still ending"
            raise OpsError(
                f"node pool not drained after {seconds:.0f} s: {names} {why}; "
                "fix: kubectl get poddisruptionbudgets --all-namespaces, then the same command again"
            )
        report(f"{len(remaining)} pods still on the old nodes: {names}")
        time.sleep(_PAUSE)
        remaining = [pod for node in existing for pod in _pods(kubernetes, node) if has_to_leave(pod)]


def check_controllers(kubernetes: Kubernetes, nodes: Sequence[str]) -> None:
    """Refuses pods that a drain would delete for good, as `kubectl drain` does.

    Raises:
        OpsError: pods on the nodes have no controller.
    """
    bare = [
        _name(pod)
        for node in nodes
        for pod in _pods(kubernetes, node)
        if not _is_going(pod)
        and not any(owner.get("controller") for owner in pod["metadata"].get("ownerReferences") or [])
    ]
    if bare:
        raise OpsError(
            f"pods without a controller, which would not be recreated: {', '.join(sorted(bare))}; "
            "allowed: pods of a Deployment or the like; fix: delete them, or --force"
        )


def _pods(kubernetes: Kubernetes, node: str) -> list[Document]:
    """The pods that have to leave a node: not those of DaemonSets, which run on every node, and none that has ended."""
    return [
        pod
        for pod in kubernetes.items("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
        if (pod.get("status") or {}).get("phase") not in _DONE
        and _MIRROR not in (pod["metadata"].get("annotations") or {})
        and not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or [])
    ]


def _tolerates_cordon(pod: Document) -> bool:
    return any(
        toleration.get("key") in {None, "", _CORDON} and toleration.get("effect") in {None, "", "NoSchedule"}
        for toleration in (pod.get("spec") or {}).get("tolerations") or []
    )


def _evict(kubernetes: Kubernetes, pod: Document) -> bool:
    metadata = pod["metadata"]
    return kubernetes.evict(metadata["namespace"], metadata["name"])


def _is_going(pod: Document) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _name(pod: Document) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
