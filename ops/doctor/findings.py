"""A finding of the doctor, and the ids of all kinds of findings."""

import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

UP, REFRESH = "pulumi up", "pulumi refresh --yes --skip-preview"
UP_REFRESH = "pulumi up --refresh"
CLEAR_PENDING = f"{REFRESH} --clear-pending-creates"
"""Commands of fixes."""


class FindingId(StrEnum):
    """Ids of findings; each has its section in docs/reference/failures.md."""

    CHECKPOINT_ATTRIBUTES = "checkpoint-attributes"
    STACK_IN_USE = "stack-in-use"
    STACK_LOCKED = "stack-locked"
    DOCKER_CREDENTIALS_EMPTY = "docker-credentials-empty"
    STACK_FILE_MISSING = "stack-file-missing"
    ORPHAN = "orphan"
    ORPHAN_OF_OTHERS = "orphan-of-others"
    NOT_IN_ACCOUNT = "not-in-account"
    CLUSTER_UNAVAILABLE = "cluster-unavailable"
    CLUSTER_NOT_IN_STATE = "cluster-not-in-state"
    REGISTRY_NOT_IN_STATE = "registry-not-in-state"
    NAME_TAKEN = "name-taken"
    OWNER_UNKNOWN = "owner-unknown"
    OPERATION_PENDING = "operation-pending"
    HELM_INTERRUPTED = "helm-interrupted"
    HELM_UNINSTALLED = "helm-uninstalled"
    LOAD_BALANCER_DELETED = "load-balancer-deleted"
    DNS_RECORD_NOT_IN_STATE = "dns-record-not-in-state"
    CONTROL_PLANE_HA = "control-plane-ha"
    DRIFT = "drift"
    NODE_POOL_DELETED = "node-pool-deleted"
    NODE_POOL_RESIZE = "node-pool-resize"
    NODE_POOL_ADDED = "node-pool-added"
    NODE_UNAVAILABLE = "node-unavailable"
    OBJECT_MISSING = "object-missing"
    OBJECT_CHANGED = "object-changed"
    OBJECT_NOT_DELETED = "object-not-deleted"
    OBJECT_NOT_IN_STATE = "object-not-in-state"
    POD_FAILING = "pod-failing"
    KONG_REFUSES = "kong-refuses"


@dataclass(frozen=True)
class Finding:
    """Something to repair.

    Attributes:
        fixes: alternatives, the usual one first; each is one or more commands in their order. `commands` adds `--stack`
            to those of pulumi and ops.
    """

    id: FindingId
    problem: str
    fixes: list[list[str]] = field(default_factory=list)

    def document(self, stack: str) -> dict[str, Any]:
        """The finding as JSON, its commands complete."""
        return {"id": self.id.value, "problem": self.problem, "fixes": self.commands(stack)}

    def commands(self, stack: str) -> list[list[str]]:
        """The fixes with the stack in every command that takes it."""
        return [[_with_stack(command, stack) for command in fix] for fix in self.fixes]


def _with_stack(command: str, stack: str) -> str:
    return f"{command} --stack {shlex.quote(stack)}" if command.startswith(("pulumi ", "python -m ops ")) else command
