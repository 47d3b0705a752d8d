"""A stack's state, as `pulumi stack export` prints it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.errors import OpsError
from ops.pulumi.stack import Stack

CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
NODE_POOL = "digitalocean:index/kubernetesNodePool:KubernetesNodePool"
REGISTRY = "digitalocean:index/containerRegistry:ContainerRegistry"
DOCKER_CREDENTIALS = (
    "digitalocean:index/containerRegistryDockerCredentials:ContainerRegistryDockerCredentials"  # a type token
)
VPC = "digitalocean:index/vpc:Vpc"
RECORD = "digitalocean:index/dnsRecord:DnsRecord"
RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACE = "kubernetes:core/v1:Namespace"
SERVICE = "kubernetes:core/v1:Service"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ENCRYPTED = "4dabf18193072939515e22adb298388d"
"""Key by which Pulumi marks an encrypted value."""


@dataclass(frozen=True)
class Pending:
    """An operation that was interrupted: it may have taken effect, or not."""

    operation: str
    urn: str
    type: str
    name: str
    """The name in the account that the operation was to give, if any."""


@dataclass(frozen=True)
class State:
    """A stack's resources and its interrupted operations."""

    resources: list[dict[str, Any]]
    pending: list[Pending]
    saved: datetime | None = None
    """Time of the last checkpoint."""

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The stack's resources of a type, by their ids; not those that the program only reads."""
        return {identifier: resource for identifier, resource in self._all(kind) if not resource.get("external")}

    def read_of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type that the program only reads, by their ids: none is the stack's own."""
        return {identifier: resource for identifier, resource in self._all(kind) if resource.get("external")}

    def _all(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        return (
            (resource["id"], resource)
            for resource in self.resources
            # Pulumi deleted a resource that waits for its replacement.
            if resource["type"] == kind and resource.get("id") and not resource.get("pendingReplacement")
        )

    def names(self, kind: str) -> set[str]:
        """The logical names of the resources of a type."""
        return {logical_name(resource["urn"]) for resource in self.resources if resource["type"] == kind}

    def urn(self, kind: str) -> str | None:
        """The URN of the one resource or component of a type, if it is there."""
        return next((str(resource["urn"]) for resource in self.resources if resource["type"] == kind), None)


def logical_name(urn: str) -> str:
    return urn.rpartition("::")[2]


def read(stack: Stack, name: str = "") -> State:
    """Reads the state, or that of another stack of the same project.

    Raises:
        OpsError: Pulumi can't read it.
    """
    exported = stack.pulumi_json("stack", "export", "--stack", name or stack.name)
    try:
        deployment = {} if exported.get("deployment") is None else dict(exported["deployment"])
        pending = [
            Pending(
                operation["type"], resource["urn"], resource["type"], (resource.get("inputs") or {}).get("name") or ""
            )
            for operation in deployment.get("pending_operations") or []
            for resource in [operation["resource"]]
        ]
        saved = (deployment.get("manifest") or {}).get("time")
        resources = deployment.get("resources") or []
        return State(resources, pending, datetime.fromisoformat(saved) if saved else None)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OpsError(f"pulumi stack export: unknown shape: {error!r}; fix: see `pulumi version`") from None
