"""Settings of pods for a node that is lost, or that the cluster autoscaler adds or removes."""

from typing import Any

from pulumi_kubernetes import core

EVICTABLE = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
"""Annotation of a pod. Without it, an emptyDir keeps the autoscaler from removing the pod's node."""
_SECONDS = 30
LEAVES_LOST_NODE: list[dict[str, Any]] = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS}
    for state in ("not-ready", "unreachable")
]
"""Tolerations: a pod is replaced 30 seconds after its node is marked NotReady, instead of five minutes.

This is for a node that hangs. A node without a Droplet is deleted sooner, with its pods.
"""


def lost_node_tolerations() -> list[core.v1.TolerationArgs]:
    """Returns LEAVES_LOST_NODE as arguments of the SDK."""
    return [
        core.v1.TolerationArgs(
            key=toleration["key"],
            operator=toleration["operator"],
            effect=toleration["effect"],
            toleration_seconds=toleration["tolerationSeconds"],
        )
        for toleration in LEAVES_LOST_NODE
    ]
