"""The stack before the update: the engine shows a policy only the state after it."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache

from policy.rules import CLUSTER, Resource


class StateError(Exception):
    """The state can't be read, so no rule may depend on it."""


@cache
def clusters(stack: str) -> tuple[Resource, ...]:
    """Returns the clusters in the state of a stack, read by Pulumi in the pack's folder or the project's.

    Raises:
        StateError: Pulumi can't export the state.
    """
    command = ("pulumi", "stack", "export", "--stack", stack)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise StateError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return tuple(clusters_in(json.loads(done.stdout)))


def stack_name(urn: str, environment: Mapping[str, str]) -> str:
    """Returns the stack's name, with its organization and project if Pulumi has given the pack the organization."""
    stack, project = urn.removeprefix("urn:pulumi:").split("::")[:2]
    organization = environment.get("PULUMI_ORGANIZATION")
    return f"{organization}/{project}/{stack}" if organization else stack


def clusters_in(exported: Mapping[str, object]) -> list[Resource]:
    """Returns the clusters of an exported state."""
    deployment = exported.get("deployment")
    resources = deployment.get("resources") or [] if isinstance(deployment, Mapping) else []
    return [
        Resource(resource["type"], resource["urn"], resource["inputs"] | resource["outputs"])
        for resource in resources
        # One that is marked was replaced by an update that didn't get to its end.
        if resource["type"] == CLUSTER and not resource.get("delete") and resource.get("id")
    ]
