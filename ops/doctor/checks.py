"""What is wrong between a stack's state and its account, and the commands that mend it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ops.account import ownership as past
from ops.account import prices
from ops.account.inventory import DEFAULT_POOL_TAG, RUNS, Thing, inventory, registries
from ops.cluster import helm_records as release
from ops.cluster.load_balancer import STAMP
from ops.digitalocean import Api, OpsError
from ops.pulumi import state as states
from ops.pulumi.locks import Lock, locks
from ops.pulumi.stack import Stack
from ops.pulumi.state import State

COMPONENTS = {states.CLUSTER: "kong-doks:cluster:Cluster", states.REGISTRY: "kong-doks:registry:DigitalOceanRegistry"}
"""The component that each resource is a child of."""
NAMES = {states.CLUSTER: "cluster", states.REGISTRY: "kong-doks"}
"""The name that the program gives to each."""


@dataclass(frozen=True)
class Finding:
    """Something to mend. The first of the `fixes` is the usual one; each is one or more commands in their order."""

    problem: str
    fixes: list[list[str]] = field(default_factory=list)


def examine(api: Api, stack: Stack) -> list[Finding]:
    """Everything that is found, what is most urgent first.

    Raises:
        OpsError: the state or the account can't be read.
    """
    held = locks(stack)
    for lock in held:
        if lock.stale is False:
            return [Finding(f"{lock} is changing the stack: wait for it, and ask again")]
    state = states.read(stack)
    things = inventory(api, stack.settings, past.read(stack, state))
    clusters = {each["id"]: each["status"]["state"] for each in api.all("kubernetes/clusters", "kubernetes_clusters")}
    # An earlier cluster that is going is no trouble for the one that took its place.
    going = {each for each, status in clusters.items() if status == "deleting" and state.of(states.CLUSTER)}
    # A registry first: beside it, an `up` that adopts a cluster may be refused another one.
    unknown = sorted(
        (t for t in things if not t.orphan and t.id not in going and _lost(t, state)),
        key=lambda t: t.kind,
        reverse=True,
    )
    return [
        *(_locked(lock, stack) for lock in held),
        *_vanished(api, state, stack),
        *(_unknown(thing, clusters.get(thing.id, "there"), _monthly(thing, things), state, stack) for thing in unknown),
        *_pending(state, unknown, stack),
        *_releases(api, clusters, state, stack),
        *_balancer(api, clusters, state, stack),
        *_records(api, state, stack),
        *_orphans(things, stack),
        *_drift(api, state, stack),
    ]


def _locked(lock: Lock, stack: Stack) -> Finding:
    sure = "which is gone" if lock.stale else "which may still work there: ask them first"
    return Finding(f"the stack is locked by {lock}, {sure}", [[f"pulumi cancel --yes --stack {stack.name}"]])


def _lost(thing: Thing, state: State) -> bool:
    kind = {"cluster": states.CLUSTER, "registry": states.REGISTRY}.get(thing.kind)
    return kind is not None and thing.id not in state.of(kind)


def _monthly(thing: Thing, things: list[Thing]) -> float:
    """What a thing costs with all that hangs on it."""
    return thing.monthly + sum(
        each.monthly
        for each in things
        if thing.kind == "cluster" and each.kind != "registry" and each.ours and not (each.orphan or each is thing)
    )


def _unknown(thing: Thing, status: str, monthly: float, state: State, stack: Stack) -> Finding:
    """The account has it under the stack's name, and the state doesn't: an `up` that lost it, or somebody else."""
    kind = states.CLUSTER if thing.kind == "cluster" else states.REGISTRY
    # The up brings in what can't be read from the account, such as how it is to be destroyed.
    up, remove = f"pulumi up --stack {stack.name}", f"{thing.remove} --stack {stack.name}"
    if not thing.ours:
        return _anothers(thing)
    problem = f'{thing.kind} "{thing.name}" ({thing.id}, {status}), ${monthly:.2f} a month, is not in the state'
    wanted = stack.settings.registry.name if stack.settings.makes_registry else None
    if thing.kind == "registry" and thing.name != wanted:
        # Pulumi would give it another name, and replace it.
        return Finding(f"{problem}: an up that was cut short left it", [[remove]])
    parent = state.urn(COMPONENTS[kind])
    below = f" --parent 'parent={parent}'" if parent else ""
    options = f"--protect=false --generate-code=false --yes --skip-preview --stack {stack.name}"
    # Not `pulumi refresh --import-pending-creates`: it drops the pending create and imports nothing.
    adopt = f"pulumi import {kind} {NAMES[kind]} {thing.id}{below} {options}"
    if status == "error":
        return Finding(f"{problem}, and will never run: remove it", [[remove]])
    if state.of(kind):
        return Finding(f"{problem}, which has another: remove it", [[remove]])
    if status == "deleting":
        return Finding(
            f"{problem}, and on its way out: wait", [[f"python -m ops bill --wait 600 --stack {stack.name}"]]
        )
    # Before that the provider is refused its credentials.
    wait = [f"python -m ops wait {thing.id} --stack {stack.name}"] if status == "provisioning" else []
    clear = [_clear(stack)] if any(each.type == kind for each in state.pending) else []
    return Finding(f"{problem}: adopt it if it is this stack's, or remove it", [[*wait, *clear, adopt, up], [remove]])


def _anothers(thing: Thing) -> Finding:
    """Neither to be adopted nor to be removed here."""
    named = f'{thing.kind} "{thing.name}" ({thing.id})'
    if thing.unsure:
        return Finding(f"{named} may be this stack's, or another's: Pulumi has no such stack (any more)")
    name = "pulumi config set clusterName with another name"
    if thing.kind == "registry":
        name = "write another registry.name, or existing: true"
    return Finding(f"{named} is stack {thing.elsewhere}'s: {name}")


def _pending(state: State, unknown: list[Thing], stack: Stack) -> Iterator[Finding]:
    """Operations that nothing in the account came of, or that were repeated since."""
    adopted = {states.CLUSTER if thing.kind == "cluster" else states.REGISTRY for thing in unknown if thing.ours}
    rest = [each for each in state.pending if each.type not in adopted]
    if rest:
        named = ", ".join(f"{each.operation} {each.urn.rpartition('::')[2]} ({each.type})" for each in rest)
        yield Finding(f"interrupted, and noted in the state since: {named}", [[_clear(stack)]])


def _releases(api: Api, clusters: dict[str, str], state: State, stack: Stack) -> Iterator[Finding]:
    """Where the state and Helm's records in the cluster differ: either of them stops `up` or `destroy`."""
    known, made = state.names(states.RELEASE), state.of(states.NAMESPACE)
    own = {
        name: namespace
        for name, namespace in release.NAMESPACES.items()
        # In a namespace that the stack didn't make they are somebody else's, as is a Grafana that it doesn't want.
        if name in known or (namespace in made and (name != "grafana" or stack.settings.grafana))
    }
    if not own:
        return
    for cluster in state.of(states.CLUSTER):
        if clusters.get(cluster) not in RUNS:
            continue
        try:
            records = release.records(api, cluster)
        except OpsError as error:
            # All else is found without it.
            yield Finding(f"whether Helm's installs are sound can't be told: {error}")
            continue
        for name, namespace in own.items():
            found = [each for each in records if (each.namespace, each.release) == (namespace, name)]
            yield from _release(name, found, cluster, stack, is_known=name in known)


def _release(
    name: str, records: list[release.Record], cluster: str, stack: Stack, *, is_known: bool
) -> Iterator[Finding]:
    """One release; `is_known`: to the state."""
    refresh = f"pulumi refresh --yes --skip-preview --stack {stack.name}"
    for record in records:
        forget = (
            f"python -m ops forget-release {cluster} {record.name} --namespace {record.namespace} --stack {stack.name}"
        )
        if record.status == "uninstalling" and is_known:
            yield Finding(
                f"Helm's record {record.name} is of a destroy that was cut short: {name} is partly gone",
                [[forget, refresh]],
            )
        # Helm then says: cannot re-use a name that is still in use.
        elif record.interrupted or not is_known:
            yield Finding(
                f"Helm's record {record.name} ({record.status}) is of an up that was cut short, and in the way of "
                "the next one, which takes over what is installed",
                [[forget, f"pulumi up --stack {stack.name}"]],
            )
    if not records and is_known:
        # Helm then says: release: not found.
        yield Finding(
            f"{name} is in the state and was uninstalled, by hand or by a destroy that was cut short", [[refresh]]
        )


def _balancer(api: Api, clusters: dict[str, str], state: State, stack: Stack) -> Iterator[Finding]:
    """The gateway's load balancer that the outputs are of, deleted by hand: clients find nobody."""
    stamps = (
        ((service["outputs"].get("metadata") or {}).get("annotations") or {}).get(STAMP)
        for service in state.of(states.SERVICE).values()
    )
    there = [cluster for cluster in state.of(states.CLUSTER) if clusters.get(cluster) in RUNS]
    for identifier in filter(None, stamps) if there else ():
        if api.find(f"load_balancers/{identifier}") is None:
            renew = [f"python -m ops renew-balancer {each} --stack {stack.name}" for each in there]
            yield Finding(
                f"load balancer {identifier}, which proxy_ip is of, was deleted by hand",
                [[*renew, f"pulumi up --refresh --stack {stack.name}"]],
            )


def _records(api: Api, state: State, stack: Stack) -> Iterator[Finding]:
    """Further A records of the stack's domain: they stay when it goes, and lead to whoever has the address then."""
    domain = stack.settings.domain
    zones = [each["name"] for each in api.all("domains", "domains")] if domain and stack.settings.makes_cluster else []
    for zone in zones:
        if not f".{domain}".endswith(f".{zone}"):
            continue
        records = list(api.all(f"domains/{zone}/records", "domain_records", type="A", name=domain))
        known = state.of(states.RECORD)
        ours = {each["data"] for each in records if str(each["id"]) in known}
        for record in records:
            if str(record["id"]) in known:
                continue
            remove = f"python -m ops remove dns_record {zone}/records/{record['id']} --stack {stack.name}"
            problem = f"{domain} has an A record ({record['id']}, {record['data']}) that is not in the state"
            if record["data"] in ours:
                yield Finding(f"{problem}: an up that was cut short left it", [[remove]])
            else:
                yield Finding(f"{problem}: an earlier up's, or somebody else's; if nobody's: {remove}")


def _clear(stack: Stack) -> str:
    return f"pulumi refresh --yes --skip-preview --clear-pending-creates --stack {stack.name}"


def _orphans(things: list[Thing], stack: Stack) -> Iterator[Finding]:
    for thing in things:
        if thing.orphan:
            yield Finding(
                f"{thing.kind} {thing.name} ({thing.id}) outlived its cluster and costs ${thing.monthly:.2f} a month",
                [[f"{thing.remove} --stack {stack.name}"]],
            )


def _vanished(api: Api, state: State, stack: Stack) -> Iterator[Finding]:
    """What was deleted by hand."""
    for identifier, resource in state.of(states.CLUSTER).items():
        if api.find(f"kubernetes/clusters/{identifier}") is None:
            # The state loses them with the cluster; at DigitalOcean they would lead to an address that is free again.
            records = [
                f"python -m ops remove dns_record {record['inputs']['domain']}/records/{each} --stack {stack.name}"
                for each, record in state.of(states.RECORD).items()
            ]
            forget = f"pulumi state delete '{resource['urn']}' --target-dependents --force --yes --stack {stack.name}"
            yield Finding(
                f"cluster {identifier} is in the state and was deleted by hand, with all that ran in it",
                [[*records, forget]],
            )
    for identifier, resource in state.of(states.REGISTRY).items():
        if identifier not in [each["name"] for each in registries(api)]:
            yield Finding(
                f"registry {identifier} is in the state and was deleted by hand",
                [[f"pulumi refresh --yes --skip-preview --target '{resource['urn']}' --stack {stack.name}"]],
            )


def _drift(api: Api, state: State, stack: Stack) -> Iterator[Finding]:
    """What was changed by hand or is as before since an update was refused, as far as it costs.

    For the rest there is `pulumi preview --refresh`.
    """
    up = f"pulumi up --refresh --stack {stack.name}"
    for identifier, resource in state.of(states.CLUSTER).items():
        found = api.find(f"kubernetes/clusters/{identifier}")
        if found is None:
            continue
        cluster, inputs, outputs = found["kubernetes_cluster"], resource["inputs"], resource["outputs"]
        if cluster["ha"] and not (inputs.get("ha") and stack.settings.ha):
            # To switch it off is refused, and with it all else that an update changes.
            yield Finding(
                f"the control plane of cluster {identifier} is highly available, which stays, and costs "
                f"${prices.HIGH_AVAILABILITY:.0f} a month, until the cluster goes",
                [[f"pulumi config set ha true --stack {stack.name}", up]],
            )
        pool = outputs.get("nodePool") or {}
        # What a refused update wanted is in the outputs; after the next `up`, which only reads, in the inputs alone.
        compared = (each for known in (outputs, inputs) for each in _compare(known, pool.get("id"), cluster))
        for what, known, actual in dict.fromkeys(compared):
            if known != actual:
                yield Finding(f"{what} of cluster {identifier}: {known} in the state, {actual} in the account", [[up]])
        yield from _pools(pool, cluster, resource["urn"], stack)
    ours = state.of(states.REGISTRY)
    for registry in registries(api) if ours else ():
        name, tier = registry["name"], registry["subscription"]["tier"]["slug"]
        tiers = [ours[name][each].get("subscriptionTierSlug", tier) for each in ("outputs", "inputs") if name in ours]
        for known in {*tiers} - {tier}:
            # It is the tier of all of the account's registries, and too small a one is refused.
            take = f"pulumi config set --path registry.tier {tier} --stack {stack.name}"
            yield Finding(f"tier of registry {name}: {known} in the state, {tier} in the account", [[up], [take, up]])


def _compare(known: dict[str, Any], pool: str | None, cluster: dict[str, Any]) -> Iterator[tuple[str, object, object]]:
    yield "name", known.get("name"), cluster["name"]
    if not cluster["ha"]:
        yield "highly available control plane", bool(known.get("ha")), False
    for each in cluster["node_pools"]:
        if each["id"] == pool:
            recorded = known.get("nodePool") or {}
            # The provider never writes nodeCount after an import, or after another pool was added.
            if count := recorded.get("nodeCount") or recorded.get("actualNodeCount"):
                yield "node count", int(count), each["count"]


def _pools(known: dict[str, Any], cluster: dict[str, Any], urn: str, stack: Stack) -> Iterator[Finding]:
    """Node pools that were added or deleted by hand. Pulumi's provider looks at its own one only, by a tag."""
    pools = {pool["id"]: pool for pool in cluster["node_pools"]}
    own = next((each for each, pool in pools.items() if DEFAULT_POOL_TAG in (pool.get("tags") or [])), None)
    if own is None or own != known.get("id"):
        add = [] if own else [f"python -m ops add-pool {cluster['id']} --stack {stack.name}"]
        refresh = f"pulumi refresh --yes --skip-preview --target '{urn}' --stack {stack.name}"
        yield Finding(f"the node pool of cluster {cluster['id']} was deleted by hand", [[*add, refresh]])
        return  # what else there is may be all that the pods have
    for identifier, pool in pools.items():
        if identifier != own:
            yield Finding(
                f"node pool {pool['name']} of cluster {cluster['id']}, {pool['count']} {pool['size']}, is not the "
                "stack's",
                [[f"python -m ops remove node_pool {cluster['id']}/node_pools/{identifier} --stack {stack.name}"]],
            )
