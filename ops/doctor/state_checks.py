"""Faults of the state itself: locks, interrupted operations, incomplete resources."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ops.doctor.account_checks import TYPES, unmanaged
from ops.doctor.findings import CLEAR_PENDING, Finding, FindingId
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states
from ops.pulumi.backend import Lock

_SHORTEST_DOCKER_CONFIG = 100
"""Characters. An encrypted empty value is shorter, an encrypted Docker config is longer."""


def check_attributes(broken: list[Path]) -> list[Finding]:
    """Finds empty `.attrs` files, which a killed command left; a missing one is harmless."""
    if not broken:
        return []
    files = " ".join(shlex.quote(str(file)) for file in broken)
    return [
        Finding(
            FindingId.CHECKPOINT_ATTRIBUTES,
            "a killed command left a checkpoint's attributes empty, and every command fails with "
            '"failed to load checkpoint: EOF"; the state itself is whole',
            [[f"rm {files}"]],
        )
    ]


def check_running(locks: list[Lock]) -> list[Finding]:
    """Commands that are changing the stack, so that the doctor's data may soon be outdated."""
    return [
        Finding(FindingId.STACK_IN_USE, f"{lock} is changing the stack: wait for it, and run the doctor again")
        for lock in locks
        if lock.stale is False
    ]


def check_locks(snapshot: Snapshot) -> Iterator[Finding]:
    for lock in snapshot.locks:
        sure = "which is gone" if lock.stale else "which may still work there: ask them first"
        yield Finding(FindingId.STACK_LOCKED, f"the stack is locked by {lock}, {sure}", [["pulumi cancel --yes"]])


def check_stack_file(snapshot: Snapshot) -> Iterator[Finding]:
    """A stack's file that was deleted: Pulumi then takes the defaults, which have no service."""
    if snapshot.missing_file and not snapshot.settings.workloads and snapshot.state.of(states.DEPLOYMENT):
        yield Finding(
            FindingId.STACK_FILE_MISSING,
            f"{snapshot.missing_file} is missing, and the next up would delete every service",
            [[f"git checkout -- {snapshot.missing_file}"], ["pulumi config refresh"]],
        )


def check_pending(snapshot: Snapshot) -> Iterator[Finding]:
    """Interrupted operations that left nothing in the account, or were repeated since."""
    adopted = {TYPES[resource.kind] for resource in unmanaged(snapshot)}
    rest = [operation for operation in snapshot.state.pending if operation.type not in adopted]
    if rest:
        named = ", ".join(
            f"{operation.operation} {states.logical_name(operation.urn)} ({operation.type})" for operation in rest
        )
        yield Finding(
            FindingId.OPERATION_PENDING, f"interrupted, and noted in the state since: {named}", [[CLEAR_PENDING]]
        )


def check_docker_credentials(snapshot: Snapshot) -> Iterator[Finding]:
    """Registry credentials that DigitalOcean's provider stored without their value, and never requests again."""
    for resource in snapshot.state.resources:
        if resource["type"] == states.DOCKER_CREDENTIALS and _is_empty(
            (resource.get("outputs") or {}).get("dockerCredentials")
        ):
            name = states.logical_name(resource["urn"])
            yield Finding(
                FindingId.DOCKER_CREDENTIALS_EMPTY,
                f"the registry credentials {name} are empty in the state: up and destroy fail because of them",
                [[f"pulumi state delete '{resource['urn']}' --force --yes"]],
            )


def _is_empty(value: object) -> bool:
    if isinstance(value, dict) and states.ENCRYPTED in value:
        value = value.get("ciphertext") or value.get("plaintext")
    return not isinstance(value, str) or len(value) < _SHORTEST_DOCKER_CONFIG
