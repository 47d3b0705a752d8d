"""Checks for drift: state and account have the same resource, and differ about it."""

from collections.abc import Iterator
from typing import Any

from infra.config import prices
from infra.config.node_pools import DEFAULT_POOL_TAG
from ops.account.documents import Cluster, NodePool
from ops.cluster.default_pool import is_interim
from ops.doctor.account_checks import COMPONENTS
from ops.doctor.findings import REFRESH, UP, UP_REFRESH, Finding, FindingId
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states
from ops.pulumi.state import State


def check_dns_records(snapshot: Snapshot) -> Iterator[Finding]:
    """Finds A records of the stack's domain that differ from the state, or that the state lacks.

    The latter would outlive the stack and point to addresses of others.
    """
    known = snapshot.state.of(states.RECORD)
    for identifier, resource in known.items():
        record = snapshot.own_records[identifier]
        recorded, actual = (resource.get("outputs") or {}).get("value"), record.data if record else "deleted"
        if recorded and actual != recorded:
            name, zone = resource["inputs"]["name"], resource["inputs"]["domain"]
            yield Finding(
                FindingId.DRIFT,
                f"A record of {zone if name == '@' else f'{name}.{zone}'}: {recorded} in the state, "
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
                    FindingId.DNS_RECORD_NOT_IN_STATE,
                    f"{problem}: an up that was interrupted left it",
                    [[f"python -m ops remove dns_record {zone}/records/{record.id}"]],
                )
            else:
                yield Finding(
                    FindingId.DNS_RECORD_NOT_IN_STATE,
                    f"{problem} and points to another address: an earlier cluster's, or another owner's",
                )


def check_drift(snapshot: Snapshot) -> Iterator[Finding]:
    """Finds drift of clusters and registry tiers: changes by hand, and updates that DigitalOcean refused."""
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
                FindingId.DRIFT,
                f"tier of registry {name}: {other} in the state, {tier} in the account",
                [[UP_REFRESH], [take, UP_REFRESH]],
            )


def _cluster_drift(snapshot: Snapshot, cluster: Cluster, resource: dict[str, Any]) -> Iterator[Finding]:
    inputs, outputs = resource["inputs"], resource["outputs"]
    if cluster.ha and not (inputs.get("ha") and snapshot.settings.ha):
        # DigitalOcean refuses an update that switches it off, and with it every other change in that update.
        yield Finding(
            FindingId.CONTROL_PLANE_HA,
            f"the control plane of cluster {cluster.id} is highly available, which stays, and costs "
            f"${prices.HIGH_AVAILABILITY:.0f} a month, until the cluster goes",
            [["pulumi config set ha true", UP_REFRESH]],
        )
    interim = next(filter(is_interim, cluster.node_pools), None)
    if interim:
        resize = "python -m ops resize-pool --yes"
        # Until the interim pool has the tag of the default pool, the old size can be put back.
        tagged = [pool for pool in cluster.node_pools if DEFAULT_POOL_TAG in pool.tags]
        default = [] if DEFAULT_POOL_TAG in interim.tags else tagged
        kept = [pool.size for pool in default if pool.size != snapshot.settings.node_size]
        yield Finding(
            FindingId.NODE_POOL_RESIZE,
            f"the default pool of cluster {cluster.id} is partly moved to another size: a resize was interrupted",
            [[resize], *([f"pulumi config set nodeSize {size}", resize] for size in kept)],
        )
        return
    pool = (outputs.get("nodePool") or {}).get("id")
    # After a refused update, the state's outputs hold the requested values; the next `up` corrects outputs, not inputs.
    # So the check compares both.
    compared = (difference for known in (outputs, inputs) for difference in _compare(known, pool, cluster))
    for what, known, actual in dict.fromkeys(compared):
        if known != actual:
            yield Finding(
                FindingId.DRIFT,
                f"{what} of cluster {cluster.id}: {known} in the state, {actual} in the account",
                [[UP_REFRESH]],
            )
    yield from _default_and_added_pools(pool, cluster, resource["urn"], snapshot)
    yield from _additional_pools(cluster, snapshot.state)


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


def _additional_pools(cluster: Cluster, state: State) -> Iterator[Finding]:
    """Finds drift of the stack's additional pools, and those that were deleted by hand."""
    pools = {pool.id: pool for pool in cluster.node_pools}
    for identifier, resource in state.of(states.NODE_POOL).items():
        if resource["inputs"].get("clusterId") != cluster.id:
            continue
        if identifier not in pools:
            name = resource["inputs"].get("name") or identifier
            yield Finding(
                FindingId.NODE_POOL_DELETED,
                f"additional pool {name} of cluster {cluster.id} was deleted by hand",
                [[f"{REFRESH} --target '{resource['urn']}'", UP]],
            )
            continue
        pool = pools[identifier]
        for what, known, actual in _compare_pool(resource["outputs"], pool):
            if known != actual:
                yield Finding(
                    FindingId.DRIFT,
                    f"{what} of additional pool {pool.name} ({identifier}): {known} in the state, "
                    f"{actual} in the account",
                    [[UP_REFRESH]],
                )


def _default_and_added_pools(recorded: str | None, cluster: Cluster, urn: str, snapshot: Snapshot) -> Iterator[Finding]:
    """Finds a default pool that was deleted by hand, and pools that were added by hand.

    Pulumi's provider recognises the default pool by a tag. `recorded` is the default pool's id in the state.
    """
    pools = {pool.id: pool for pool in cluster.node_pools}
    default = next((identifier for identifier, pool in pools.items() if DEFAULT_POOL_TAG in pool.tags), None)
    if default is None or default != recorded:
        add = [] if default else [f"python -m ops add-pool {cluster.id}"]
        yield Finding(
            FindingId.NODE_POOL_DELETED,
            f"the default pool of cluster {cluster.id} was deleted by hand",
            [[*add, f"{REFRESH} --target '{urn}'"]],
        )
        return  # all pods may run on the other pools: none is reported as added
    state, names = snapshot.state, {pool.full_name(key): key for key, pool in snapshot.settings.node_pools.items()}
    for identifier, pool in pools.items():
        if identifier == default or identifier in state.of(states.NODE_POOL):
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
            yield Finding(FindingId.NODE_POOL_ADDED, problem, [[adopt, UP], remove])
        else:
            yield Finding(FindingId.NODE_POOL_ADDED, f"{named}, is not the stack's", [remove])
