"""Time that a rollout may take."""

_FIRST_POD_SECONDS = 180
"""Enough to pull the image and to start the pod on a node that exists."""
_NEW_NODE_SECONDS = 600
"""Enough for the cluster autoscaler to add a node."""


def first_pod_seconds(*, scales_nodes: bool) -> int:
    """Returns the seconds that a rollout may take for its first pod.

    Where the cluster autoscaler adds nodes, the pod may wait for one: creating it takes minutes. Pulumi's default is
    ten minutes, also for a container that crashes at once.
    """
    return _FIRST_POD_SECONDS + (_NEW_NODE_SECONDS if scales_nodes else 0)
