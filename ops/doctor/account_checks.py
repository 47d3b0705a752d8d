"""Checks for resources that only the state has, or only the account."""

from collections.abc import Iterator
from operator import attrgetter

from infra.config.cluster_changes import GOING
from ops.account.billed import BilledResource, Owner
from ops.doctor.findings import CLEAR_PENDING, UP, Finding, FindingId
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states

COMPONENTS = {states.CLUSTER: "kong-doks:cluster:Cluster", states.REGISTRY: "kong-doks:registry:DigitalOceanRegistry"}
"""The component that each resource is a child of."""
NAMES = {states.CLUSTER: "cluster", states.REGISTRY: "kong-doks"}
"""The logical name of each resource."""
TYPES = {"cluster": states.CLUSTER, "registry": states.REGISTRY}


def check_orphans(snapshot: Snapshot) -> Iterator[Finding]:
    """Load balancers, volumes, snapshots and Droplets of clusters that are gone."""
    for orphan in snapshot.inventory.own:
        if orphan.orphan:
            yield Finding(
                FindingId.ORPHAN,
                f"{orphan.kind} {orphan.name} ({orphan.id}) outlived its cluster and costs "
                f"${orphan.monthly:.2f} a month",
                [[orphan.remove]],
            )


def check_missing(snapshot: Snapshot) -> Iterator[Finding]:
    """Ids in the state that the account doesn't have."""
    state, inventory = snapshot.state, snapshot.inventory
    for missing in inventory.missing:
        kind, _, _ = missing.partition(" ")
        # `forget` also drops the DNS records from the state, so they are removed first. In DigitalOcean's zone they
        # would point to an address that may be another customer's.
        records = [
            f"python -m ops remove dns_record {record['inputs']['domain']}/records/{identifier}"
            for identifier, record in state.of(states.RECORD).items()
            if kind == "cluster"
        ]
        yield Finding(
            FindingId.NOT_IN_ACCOUNT,
            f"{missing} is in the state and not in the account: {inventory.why_missing}",
            [[*records, f"python -m ops forget {missing}"]],
        )
    for name in state.read_of(states.REGISTRY):
        if name not in inventory.registries:
            yield Finding(
                FindingId.NOT_IN_ACCOUNT,
                f'registry "{name}", which the stack uses and did not create, is not in the account: it was deleted, '
                "or the token is another team's; fix: another registry.name, or no registry.existing",
            )


def check_cluster_state(snapshot: Snapshot) -> Iterator[Finding]:
    """Clusters of the state that don't run, so that an `up` would fail."""
    for identifier in snapshot.state.of(states.CLUSTER):
        cluster = snapshot.inventory.clusters.get(identifier)
        if cluster is None or cluster.runs:
            continue
        named, fixes = f'cluster "{cluster.name}" ({identifier})', []
        if cluster.is_being_deleted:
            problem = f"{named} is in the state and is being deleted: wait until it is gone, and run the doctor again"
        elif cluster.status.state == "provisioning":
            problem, fixes = f"{named} is being created: wait", [[f"python -m ops wait {identifier}"]]
        else:
            problem = f"{named} is in state {cluster.status.state}: see DigitalOcean's control panel, or destroy it"
        yield Finding(FindingId.CLUSTER_UNAVAILABLE, problem, fixes)


def check_not_in_state(snapshot: Snapshot) -> Iterator[Finding]:
    """Clusters and registries that an interrupted `up` created, and that the state lacks."""
    # The registry first: an `up` that adopts only the cluster would create a second registry, which DigitalOcean may
    # refuse.
    for resource in sorted(unmanaged(snapshot), key=attrgetter("kind"), reverse=True):
        check = _registry_not_in_state if resource.kind == "registry" else _cluster_not_in_state
        yield check(snapshot, resource)


def unmanaged(snapshot: Snapshot) -> list[BilledResource]:
    """The stack's clusters and registries that the state lacks."""
    state = snapshot.state
    return [
        resource
        for resource in snapshot.inventory.own
        if resource.kind in TYPES
        and resource.id not in state.of(TYPES[resource.kind])
        # An earlier cluster that is being deleted doesn't conflict with its replacement.
        and not (state.of(states.CLUSTER) and _status(snapshot, resource) in GOING)
    ]


def _status(snapshot: Snapshot, resource: BilledResource) -> str:
    cluster = snapshot.inventory.clusters.get(resource.id)
    return cluster.status.state if cluster else ""


def _registry_not_in_state(snapshot: Snapshot, registry: BilledResource) -> Finding:
    problem = f'registry "{registry.name}", ${registry.monthly:.2f} a month, is not in the state'
    if registry.name != snapshot.names.registry:
        # Pulumi would give it another name, and replace it.
        return Finding(
            FindingId.REGISTRY_NOT_IN_STATE, f"{problem}: an up that was interrupted left it", [[registry.remove]]
        )
    return _adopt_or_remove(snapshot, FindingId.REGISTRY_NOT_IN_STATE, problem, registry)


def _cluster_not_in_state(snapshot: Snapshot, cluster: BilledResource) -> Finding:
    status, monthly = _status(snapshot, cluster), snapshot.inventory.monthly(cluster)
    problem = f'cluster "{cluster.name}" ({cluster.id}, {status}), ${monthly:.2f} a month, is not in the state'
    if status == "error":
        return Finding(FindingId.CLUSTER_NOT_IN_STATE, f"{problem}, and will never run: remove it", [[cluster.remove]])
    if status in GOING:
        return Finding(
            FindingId.CLUSTER_NOT_IN_STATE,
            f"{problem}, and is being deleted: wait",
            [["python -m ops bill --wait 600"]],
        )
    # A cluster that is being created has no credentials yet, which the provider reads.
    wait = [f"python -m ops wait {cluster.id}"] if status == "provisioning" else []
    return _adopt_or_remove(snapshot, FindingId.CLUSTER_NOT_IN_STATE, problem, cluster, wait)


def _adopt_or_remove(
    snapshot: Snapshot, identity: FindingId, problem: str, resource: BilledResource, before: list[str] | None = None
) -> Finding:
    state, kind = snapshot.state, TYPES[resource.kind]
    if state.of(kind):
        return Finding(
            identity, f"{problem}; the state already has another {resource.kind}: remove this one", [[resource.remove]]
        )
    parent = state.urn(COMPONENTS[kind])
    below = f" --parent 'parent={parent}'" if parent else ""
    # Not `pulumi refresh --import-pending-creates`: it drops the pending creation and imports nothing.
    adopt = (
        f"pulumi import {kind} {NAMES[kind]} {resource.id}{below} --protect=false --generate-code=false "
        "--yes --skip-preview"
    )
    clear = [CLEAR_PENDING] if any(operation.type == kind for operation in state.pending) else []
    # The `up` sets what can't be read from the account, such as how the cluster is to be destroyed.
    return Finding(
        identity,
        f"{problem}: adopt it, or remove it",
        [[*(before or []), *clear, adopt, UP], [resource.remove]],
    )


def check_names(snapshot: Snapshot) -> Iterator[Finding]:
    """Clusters and registries that have this stack's names and aren't provably its: no command touches them."""
    keys = {"cluster": "pulumi config set clusterName", "registry": "pulumi config set --path registry.name"}
    for other in snapshot.inventory.others:
        if other.kind not in keys:
            continue
        named = f'{other.kind} "{other.name}" ({other.id})'
        if other.owner == Owner.UNKNOWN:
            yield Finding(
                FindingId.OWNER_UNKNOWN,
                f"{named} may be this stack's or another's: Pulumi's history has no update of this stack",
            )
        else:
            owner = f"stack {other.other_stack}'s" if other.owner == Owner.OTHER_STACK else "somebody's"
            existing = ", or registry.existing: true" if other.kind == "registry" else ""
            yield Finding(
                FindingId.NAME_TAKEN,
                f"{named} is {owner}, and this stack is configured to use the same name; fix: another name "
                f"by {keys[other.kind]}{existing}",
            )


def check_orphans_of_others(snapshot: Snapshot) -> Iterator[Finding]:
    """Observes volumes and the like of clusters that this stack never had; there is nothing to repair."""
    for orphan in snapshot.inventory.others:
        if orphan.owner == Owner.NOBODY:
            yield Finding(
                FindingId.ORPHAN_OF_OTHERS,
                f"{orphan.kind} {orphan.name} ({orphan.id}), ${orphan.monthly:.2f} a month, is of a cluster "
                f"({orphan.cluster}) that no longer exists and was never this stack's",
            )
