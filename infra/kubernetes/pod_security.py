"""Security contexts and namespace labels of the Pod Security Standard "restricted"."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import core

_USER = 10001
"""A user that no image has."""

POD = core.v1.PodSecurityContextArgs(
    run_as_non_root=True,
    run_as_user=_USER,
    run_as_group=_USER,
    fs_group=_USER,
    seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
)
CONTAINER = core.v1.SecurityContextArgs(
    read_only_root_filesystem=True,
    allow_privilege_escalation=False,
    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
)
CHART_CONTAINER = {
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""A container's security context as a chart's values have it."""


def namespace_labels(cluster: pulumi.Resource | None) -> Mapping[str, str]:
    """Labels that make the API server refuse pods which aren't restricted.

    In an existing cluster, where the namespace may hold other pods, it only warns.
    """
    modes = ("enforce", "warn") if cluster else ("warn",)
    return {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
