"""Drains a node as `kubectl drain` and DigitalOcean do: cordon, then evict its pods, as budgets of disruption allow."""

import time
from http import HTTPStatus
from typing import Any

import httpx

_MERGE = {"Content-Type": "application/merge-patch+json"}
_RETRY_SECONDS = 1
Pod = dict[str, Any]


def drain(client: httpx.Client, node: str, seconds: float) -> bool:
    """Cordons a node and evicts its pods until none is left.

    Args:
        client: An administrator's.
        node: The node's name. One that is gone has no pods.
        seconds: How long evictions that a budget refuses are tried again, and pods that take their time are waited for.

    Returns:
        False: pods are left after that time.
    """
    cordoned = client.patch(f"/api/v1/nodes/{node}", json={"spec": {"unschedulable": True}}, headers=_MERGE)
    if cordoned.status_code == HTTPStatus.NOT_FOUND:
        return True
    end = time.monotonic() + seconds
    while pods := _evictable(client, node):
        if time.monotonic() > end:
            return False
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"]:
                _evict(client, pod)  # refused by a budget: tried again
        time.sleep(_RETRY_SECONDS)
    return True


def _evictable(client: httpx.Client, node: str) -> list[Pod]:
    """The pods that are drained: a DaemonSet's stay, and so do those that have ended."""
    answer = client.get("/api/v1/pods", params={"fieldSelector": f"spec.nodeName={node}"}).raise_for_status()
    return [
        pod
        for pod in answer.json()["items"]
        if pod["status"].get("phase") not in {"Succeeded", "Failed"}
        and not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", []))
    ]


def _evict(client: httpx.Client, pod: Pod) -> None:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    client.post(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", json=eviction)
