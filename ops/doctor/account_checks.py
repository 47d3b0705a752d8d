"""Differences between the state and the account."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from infra.config import prices
from infra.config.cluster_changes import GOING
from infra.config.node_pools import DEFAULT_POOL_TAG
from ops.account.documents import Cluster, NodePool
from ops.account.inventory import BilledResource
from ops.cluster.default_pool import is_interim
from ops.doctor.findings import Finding, Problem
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states
from ops.pulumi.state import State

COMPONENTS = {states.CLUSTER: "kong-doks:cluster:Cluster", states.REGISTRY: "kong-doks:registry:DigitalOceanRegistry"}
"""The component that each resource is a child of."""
NAMES = {states.CLUSTER: "cluster", states.REGISTRY: "kong-doks"}
"""The logical name of each resource."""
TYPES = {"cluster": states.CLUSTER, "registry": states.REGISTRY}
UP, REFRESH = "pulumi up", "pulumi refresh --yes --skip-preview"
UP_REFRESH = "pulumi up --refresh"
CLEAR_PENDING = f"{REFRESH} --clear-pending-creates"


def check_orphans(snapshot: Snapshot) -> Iterator[Finding]:
    """Load balancers, volumes, snapshots and Droplets of clusters that are gone."""
    for orphan in snapshot.inventory.own:
        if orphan.orphan:
            yield Finding(
                Problem.ORPHAN,
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
            Problem.NOT_IN_ACCOUNT,
            f"{missing} is in the state and not in the account: {inventory.why_missing}",
            [[*records, f"python -m ops forget {missing}"]],
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
        yield Finding(Problem.CLUSTER_UNAVAILABLE, problem, fixes)


def check_not_in_state(snapshot: Snapshot) -> Iterator[Finding]:
    """Clusters and registries that an interrupted `up` created, and that the state lacks."""
    # A registry first: beside it, an `up` that adopts a cluster may be refused another one.
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
            Problem.REGISTRY_NOT_IN_STATE, f"{problem}: an up that was interrupted left it", [[registry.remove]]
        )
    return _adopt_or_remove(snapshot, Problem.REGISTRY_NOT_IN_STATE, problem, registry)


def _cluster_not_in_state(snapshot: Snapshot, cluster: BilledResource) -> Finding:
    status, monthly = _status(snapshot, cluster), snapshot.inventory.monthly(cluster)
    problem = f'cluster "{cluster.name}" ({cluster.id}, {status}), ${monthly:.2f} a month, is not in the state'
    if status == "error":
        return Finding(Problem.CLUSTER_NOT_IN_STATE, f"{problem}, and will never run: remove it", [[cluster.remove]])
    if status in GOING:
        return Finding(
            Problem.CLUSTER_NOT_IN_STATE,
            f"{problem}, and is being deleted: wait",
            [["python -m ops bill --wait 600"]],
        )
    # A cluster that is being created has no credentials yet, which the provider reads.
    wait = [f"python -m ops wait {cluster.id}"] if status == "provisioning" else []
    return _adopt_or_remove(snapshot, Problem.CLUSTER_NOT_IN_STATE, problem, cluster, wait)


def _adopt_or_remove(
    snapshot: Snapshot, identity: Problem, problem: str, resource: BilledResource, before: list[str] | None = None
) -> Finding:
    state, kind = snapshot.state, TYPES[resource.kind]
    if state.of(kind):
        return Finding(identity, f"{problem}, which has another: remove it", [[resource.remove]])
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
        if other.owner == "unknown":
            yield Finding(
                Problem.OWNER_UNKNOWN,
                f"{named} may be this stack's or another's: Pulumi's history has no update of this stack",
            )
        else:
            owner = "somebody's" if other.owner == "somebody" else f"stack {other.owner}'s"
            existing = ", or registry.existing: true" if other.kind == "registry" else ""
            yield Finding(
                Problem.NAME_TAKEN,
                f"{named} is {owner}, and this stack is configured to use the same name; fix: another name "
                f"by {keys[other.kind]}{existing}",
            )


def check_orphans_of_others(snapshot: Snapshot) -> Iterator[Finding]:
    """Observes volumes and the like of clusters that this stack never had; there is nothing to repair."""
    for orphan in snapshot.inventory.others:
        if orphan.owner == "nobody":
            yield Finding(
                Problem.ORPHAN_OF_OTHERS,
                f"{orphan.kind} {orphan.name} ({orphan.id}), ${orphan.monthly:.2f} a month, is of a cluster "
                f"({orphan.cluster}) that no longer exists and was never this stack's",
            )


def check_dns_records(snapshot: Snapshot) -> Iterator[Finding]:
    """A records of the stack's domain that differ from the state, or that the state lacks.

    The latter would outlive the stack and point to others.
    """
    known = snapshot.state.of(states.RECORD)
    for identifier, resource in known.items():
        record = snapshot.own_records[identifier]
        wanted, actual = (resource.get("outputs") or {}).get("value"), record.data if record else "deleted"
        if wanted and actual != wanted:
            name, zone = resource["inputs"]["name"], resource["inputs"]["domain"]
            yield Finding(
                Problem.DRIFT,
                f"A record of {zone if name == '@' else f'{name}.{zone}'}: {wanted} in the state, "
                f"{actual} in the account",
                [[UP_REFRESH]],
            )
    for zone, records in snapshot.a_records.items():
        own = {record.data for record in records if record.id in known}
        for record in records:
            if record.id in known:
                continue
            problem = (
                f"{snapshot.settings.domain} has an A record ({record.id}, {record.data}) that is not in the state"
            )
            if record.data in own:
                yield Finding(
                    Problem.DNS_RECORD_NOT_IN_STATE,
                    f"{problem}: an up that was interrupted left it",
                    [[f"python -m ops remove dns_record {zone}/records/{record.id}"]],
                )
            else:
                yield Finding(
                    Problem.DNS_RECORD_NOT_IN_STATE,
                    f"{problem} and points to another address: an earlier cluster's, or another owner's",
                )


def check_drift(snapshot: Snapshot) -> Iterator[Finding]:
    """Drift of clusters and registry tiers: changes by hand, and updates that DigitalOcean refused."""
    for identifier, resource in snapshot.state.of(states.CLUSTER).items():
        cluster = snapshot.inventory.clusters.get(identifier)
        if cluster and cluster.runs:
            yield from _cluster_drift(snapshot, cluster, resource)
    known_registries = snapshot.state.of(states.REGISTRY)
    for name, registry in snapshot.inventory.registries.items():
        if name not in known_registries or registry.subscription is None:
            continue
        tier = registry.subscription.tier.slug
        known = known_registries[name]
        tiers = [known[side].get("subscriptionTierSlug", tier) for side in ("outputs", "inputs")]
        for other in {*tiers} - {tier}:
            # One tier applies to all registries of the account; DigitalOcean refuses one that is too small for them.
            take = f"pulumi config set --path registry.tier {tier}"
            yield Finding(
                Problem.DRIFT,
                f"tier of registry {name}: {other} in the state, {tier} in the account",
                [[UP_REFRESH], [take, UP_REFRESH]],
            )


def _cluster_drift(snapshot: Snapshot, cluster: Cluster, resource: dict[str, Any]) -> Iterator[Finding]:
    inputs, outputs = resource["inputs"], resource["outputs"]
    if cluster.ha and not (inputs.get("ha") and snapshot.settings.ha):
        # DigitalOcean refuses an update that switches it off, and with it every other change in that update.
        yield Finding(
            Problem.CONTROL_PLANE_HA,
            f"the control plane of cluster {cluster.id} is highly available, which stays, and costs "
            f"${prices.HIGH_AVAILABILITY:.0f} a month, until the cluster goes",
            [["pulumi config set ha true", UP_REFRESH]],
        )
    interim = next(filter(is_interim, cluster.node_pools), None)
    if interim:
        resize = "python -m ops resize-pool --yes"
        # Until the new pool is the cluster's own, the old size can be put back.
        own = [] if DEFAULT_POOL_TAG in interim.tags else [p for p in cluster.node_pools if DEFAULT_POOL_TAG in p.tags]
        kept = [pool.size for pool in own if pool.size != snapshot.settings.node_size]
        yield Finding(
            Problem.NODE_POOL_RESIZE,
            f"the node pool of cluster {cluster.id} is partly moved to another size: a resize was interrupted",
            [[resize], *([f"pulumi config set nodeSize {size}", resize] for size in kept)],
        )
        return
    pool = (outputs.get("nodePool") or {}).get("id")
    # After a refused update the outputs have the requested values. After the next `up`, which only reads, only the
    # inputs have them.
    compared = (difference for known in (outputs, inputs) for difference in _compare(known, pool, cluster))
    for what, known, actual in dict.fromkeys(compared):
        if known != actual:
            yield Finding(
                Problem.DRIFT,
                f"{what} of cluster {cluster.id}: {known} in the state, {actual} in the account",
                [[UP_REFRESH]],
            )
    yield from _node_pools(pool, cluster, resource["urn"], snapshot)
    yield from _further_pools(cluster, snapshot.state)


def _compare(known: dict[str, Any], pool: str | None, cluster: Cluster) -> Iterator[tuple[str, object, object]]:
    yield "name", known.get("name"), cluster.name
    if not cluster.ha:
        yield "highly available control plane", bool(known.get("ha")), False
    for node_pool in cluster.node_pools:
        if node_pool.id == pool:
            yield from _compare_pool(known.get("nodePool") or {}, node_pool)


def _compare_pool(known: dict[str, Any], pool: NodePool) -> Iterator[tuple[str, object, object]]:
    scaled = bool(known.get("autoScale"))
    yield "autoscaling", scaled, pool.auto_scale
    # The provider never writes nodeCount for a cluster that was imported.
    count = known.get("nodeCount") or known.get("actualNodeCount")
    if count is not None and not (scaled or pool.auto_scale):
        yield "node count", int(count), pool.count


def _further_pools(cluster: Cluster, state: State) -> Iterator[Finding]:
    """Drift of the stack's further node pools, and those that were deleted by hand."""
    pools = {pool.id: pool for pool in cluster.node_pools}
    for identifier, resource in state.of(states.NODE_POOL).items():
        if resource["inputs"].get("clusterId") != cluster.id:
            continue
        if identifier not in pools:
            name = resource["inputs"].get("name") or identifier
            yield Finding(
                Problem.NODE_POOL_DELETED,
                f"node pool {name} of cluster {cluster.id} was deleted by hand",
                [[f"{REFRESH} --target '{resource['urn']}'", UP]],
            )
            continue
        pool = pools[identifier]
        for what, known, actual in _compare_pool(resource["outputs"], pool):
            if known != actual:
                yield Finding(
                    Problem.DRIFT,
                    f"{what} of node pool {pool.name} ({identifier}): {known} in the state, {actual} in the account",
                    [[UP_REFRESH]],
                )


def _node_pools(known: str | None, cluster: Cluster, urn: str, snapshot: Snapshot) -> Iterator[Finding]:
    """Node pools that were added or deleted by hand. Pulumi's provider recognises the cluster's own one by a tag."""
    pools = {pool.id: pool for pool in cluster.node_pools}
    own = next((identifier for identifier, pool in pools.items() if DEFAULT_POOL_TAG in pool.tags), None)
    if own is None or own != known:
        add = [] if own else [f"python -m ops add-pool {cluster.id}"]
        yield Finding(
            Problem.NODE_POOL_DELETED,
            f"the node pool of cluster {cluster.id} was deleted by hand",
            [[*add, f"{REFRESH} --target '{urn}'"]],
        )
        return  # all pods may run on the other pools: none is reported as added
    state, names = snapshot.state, {pool.full_name(key): key for key, pool in snapshot.settings.node_pools.items()}
    for identifier, pool in pools.items():
        if identifier == own or identifier in state.of(states.NODE_POOL):
            continue
        named = f"node pool {pool.name} of cluster {cluster.id}, {pool.count} {pool.size}"
        remove = [f"python -m ops remove node_pool {cluster.id}/node_pools/{identifier}"]
        if pool.name in names:
            # An `up` would be refused: the name is taken.
            parent = state.urn(COMPONENTS[states.CLUSTER])
            adopt = (
                f"pulumi import {states.NODE_POOL} {names[pool.name]} {identifier} --parent 'parent={parent}' "
                "--protect=false --generate-code=false --yes --skip-preview"
            )
            problem = f"{named}, is not in the state: adopt it, or remove it"
            yield Finding(Problem.NODE_POOL_ADDED, problem, [[adopt, UP], remove])
        else:
            yield Finding(Problem.NODE_POOL_ADDED, f"{named}, is not the stack's", [remove])
