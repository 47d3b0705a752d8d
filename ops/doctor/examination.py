"""Runs the checks of a snapshot, in their order.

Two checks precede the snapshot, which can't be read after their findings: `ops/cli/reading.py` calls
`state_checks.check_attributes` and `state_checks.check_running`.
"""

from ops.doctor import account_checks, cluster_checks, drift_checks, state_checks
from ops.doctor.findings import Finding
from ops.doctor.snapshot import Snapshot

CHECKS = (
    state_checks.check_locks,
    state_checks.check_docker_credentials,
    state_checks.check_stack_file,
    # Before the check for missing clusters, whose fix makes the state forget them.
    account_checks.check_orphans,
    account_checks.check_missing,
    account_checks.check_cluster_state,
    account_checks.check_not_in_state,
    account_checks.check_names,
    state_checks.check_pending,
    cluster_checks.check_releases,
    cluster_checks.check_nodes,
    cluster_checks.check_installed,
    cluster_checks.check_load_balancer,
    drift_checks.check_dns_records,
    drift_checks.check_drift,
    cluster_checks.check_deletions,
    cluster_checks.check_objects,
    cluster_checks.check_additions,
    cluster_checks.check_pods,
)
"""In the order in which their findings are to be repaired."""


def examine(snapshot: Snapshot) -> list[Finding]:
    """Returns the findings, in the order in which they are to be repaired."""
    return [finding for check in CHECKS for finding in check(snapshot)]


def notes(snapshot: Snapshot) -> list[Finding]:
    """Returns what needs no repair: somebody else's resources, and objects that the next `up` takes over."""
    return [
        *account_checks.check_orphans_of_others(snapshot),
        *cluster_checks.check_objects_not_in_state(snapshot),
        *cluster_checks.check_refusals(snapshot),
    ]
