"""The stack's state, read by the Pulumi CLI: Pulumi itself hands the program only the stack's outputs."""

import json
import subprocess
from collections.abc import Collection

import pulumi
from pulumi.type_token import get_type_token


def own_ids(*classes: type[pulumi.Resource]) -> list[Collection[str]] | None:
    """Returns the ids of the stack's own resources of each class, without those that the program only reads.

    None if the Pulumi CLI isn't on PATH, or can't read the state.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    command = ["pulumi", "stack", "export", "--stack", stack, "--non-interactive"]
    try:
        exported = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
        resources = json.loads(exported)["deployment"].get("resources") or []
        own = [
            (resource["type"], resource["id"])
            for resource in resources
            if "id" in resource and not resource.get("external")
        ]
    except (OSError, subprocess.CalledProcessError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return [{identifier for kind, identifier in own if kind == get_type_token(cls)} for cls in classes]
