"""The stack's state, read by the Pulumi CLI: Pulumi itself hands the program only the outputs of a complete `up`."""

import json
import subprocess
from collections.abc import Collection
from typing import Any

import pulumi

CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
VPC = "digitalocean:index/vpc:Vpc"


class OwnState:
    """The ids of the stack's resources, by type."""

    def __init__(self, resources: Collection[Any]) -> None:
        self._resources = resources

    def ids(self, kind: str) -> Collection[str]:
        """Returns the ids of a type, without those that the program only reads."""
        return {each["id"] for each in self._resources if each["type"] == kind and not each.get("external")}


def own_state() -> OwnState | None:
    """Reads the state; None if the Pulumi CLI isn't on PATH, or can't read it."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    command = ["pulumi", "stack", "export", "--stack", stack, "--non-interactive"]
    try:
        exported = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return OwnState(json.loads(exported)["deployment"].get("resources") or [])
    except (OSError, subprocess.CalledProcessError, ValueError, LookupError, TypeError):
        return None
