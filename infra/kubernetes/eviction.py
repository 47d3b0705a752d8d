"""When pods leave a node that is lost, or that the cluster autoscaler removes."""

from typing import Any

from pulumi_kubernetes import core

EVICTABLE = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
"""Annotation of a pod. Without it an emptyDir, even one for temporary files, keeps the pod's node for ever."""

_SECONDS = 30
LEAVES_LOST_NODE: list[dict[str, Any]] = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS}
    for state in ("not-ready", "unreachable")
]
"""Tolerations of a pod: another one replaces it half a minute after its node is marked NotReady, not five minutes.

A node whose Droplet is gone goes with its pods sooner. This is for one that hangs.
"""


def lost_node_tolerations() -> list[core.v1.TolerationArgs]:
    return [
        core.v1.TolerationArgs(
            key=each["key"],
            operator=each["operator"],
            effect=each["effect"],
            toleration_seconds=each["tolerationSeconds"],
        )
        for each in LEAVES_LOST_NODE
    ]
