"""What Pulumi knows of a stack: its state."""

import json
from dataclasses import dataclass
from typing import Any

from ops.digitalocean import OpsError
from ops.pulumi.stack import Stack

CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
REGISTRY = "digitalocean:index/containerRegistry:ContainerRegistry"
RECORD = "digitalocean:index/dnsRecord:DnsRecord"
RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACE = "kubernetes:core/v1:Namespace"
SERVICE = "kubernetes:core/v1:Service"


@dataclass(frozen=True)
class Pending:
    """An operation that was cut short: it may have taken effect, or not."""

    operation: str
    urn: str
    type: str
    name: str
    """What it was to be called in the account, if it was to be called anything."""


@dataclass(frozen=True)
class State:
    """A stack's resources, as the state has them, and its interrupted operations."""

    resources: list[dict[str, Any]]
    pending: list[Pending]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type, by their ids."""
        return {each["id"]: each for each in self.resources if each["type"] == kind and each.get("id")}

    def names(self, kind: str) -> set[str]:
        """The names that the program gives to the resources of a type."""
        return {each["urn"].rpartition("::")[2] for each in self.resources if each["type"] == kind}

    def urn(self, kind: str) -> str | None:
        """The URN of the one resource or component of a type, if it is there."""
        return next((str(each["urn"]) for each in self.resources if each["type"] == kind), None)


def read(stack: Stack, name: str = "") -> State:
    """The state, or that of another stack of the same project; empty if the stack isn't there (yet).

    Raises:
        OpsError: pulumi isn't there, or can't read it.
    """
    try:
        exported = stack.pulumi("stack", "export", "--stack", name or stack.name)
    except OpsError as error:
        if "no stack named" in str(error):
            return State([], [])
        raise
    deployment = json.loads(exported).get("deployment") or {}
    pending = [
        Pending(each["type"], resource["urn"], resource["type"], (resource.get("inputs") or {}).get("name") or "")
        for each in deployment.get("pending_operations") or []
        for resource in [each["resource"]]
    ]
    return State(deployment.get("resources") or [], pending)
