"""What a pod and its container may do: serve, and no more (Kubernetes' Pod Security Standards, "restricted")."""

from pulumi_kubernetes import core

USER = 10001
"""Nobody's, on no image."""

POD = core.v1.PodSecurityContextArgs(
    run_as_non_root=True,
    run_as_user=USER,
    run_as_group=USER,
    fs_group=USER,
    seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
)
CONTAINER = core.v1.SecurityContextArgs(
    read_only_root_filesystem=True,
    allow_privilege_escalation=False,
    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
)
