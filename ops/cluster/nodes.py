"""Nodes on which no pod can start."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.cluster.client import Kubernetes
from ops.digitalocean import one_line

Document = dict[str, Any]
_POOL, _NODE = "doks.digitalocean.com/node-pool-id", "doks.digitalocean.com/node-id"
"""Labels that DigitalOcean sets on its nodes."""
_LEAVING = "ToBeDeletedByClusterAutoscaler"


@dataclass(frozen=True)
class Node:
    """A node that accepts no pod.

    Attributes:
        problem: why its kubelet isn't ready; empty if the node is cordoned.
        pool: id of its pool; empty if DigitalOcean hasn't labelled it.
        id: at DigitalOcean.
    """

    name: str
    problem: str
    pool: str
    id: str


def unavailable(kubernetes: Kubernetes) -> Iterator[Node]:
    """Yields nodes that are not ready or cordoned; those that are being removed belong to the autoscaler."""
    for node in kubernetes.items("/api/v1/nodes"):
        metadata, spec = node["metadata"], node.get("spec") or {}
        if metadata.get("deletionTimestamp") or any(taint["key"] == _LEAVING for taint in spec.get("taints") or []):
            continue
        problem = _problem(node)
        if problem or spec.get("unschedulable"):
            labels = metadata.get("labels") or {}
            yield Node(metadata["name"], problem, labels.get(_POOL, ""), labels.get(_NODE, ""))


def _problem(node: Document) -> str:
    for condition in (node.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Ready" and condition["status"] != "True":
            since = f" since {condition['lastTransitionTime']}" if "lastTransitionTime" in condition else ""
            return f"{condition.get('reason', 'NotReady')}: {one_line(condition.get('message', ''))}{since}"
    return ""
