"""Checks that `pulumi up` can work, before it costs anything."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic import BaseModel

from infra.config import capacity, cluster_changes
from infra.config.cluster import Vpc
from infra.config.cluster_changes import LiveCluster, minor_of
from infra.config.node_pools import DEFAULT_POOL_TAG
from infra.config.settings import Settings
from ops.account.dns import ADDRESSES, domain_records
from ops.account.documents import Account, Cluster, ClusterOptions, Record, Registry, RegistryOptions, Size, Slug
from ops.account.documents import Vpc as VpcDocument
from ops.account.inventory import registries
from ops.account.ownership import Ownership, resources_of_other_stacks
from ops.digitalocean import Api, ApiError
from ops.pulumi import state as states
from ops.pulumi.cli import PulumiError
from ops.pulumi.stack import Stack
from ops.pulumi.state import State

SMALLEST_NODE_MIB = 2048
"""DigitalOcean sells no smaller Kubernetes nodes (Kubernetes limits page)."""
REGISTRIES = {"professional": 10}
"""Registries of an account, where that isn't one (Container Registry limits page)."""
_NONEXISTENT_ID = "00000000-0000-4000-8000-000000000000"
_CLUSTER = f"kubernetes/clusters/{_NONEXISTENT_ID}"


class Probe(NamedTuple):
    """A call that changes nothing: it reads, or it is invalid and refused for that or for a missing scope."""

    method: str
    path: str
    body: dict[str, Any] | None = None


READING = {
    "account:read": Probe("GET", "account"),
    "sizes:read": Probe("GET", "sizes"),
    "regions:read": Probe("GET", "regions"),
    "actions:read": Probe("GET", "actions"),
    "tag:read": Probe("GET", "tags"),
    "kubernetes:read": Probe("GET", "kubernetes/options"),
    "droplet:read": Probe("GET", "droplets"),
    "load_balancer:read": Probe("GET", "load_balancers"),
    "block_storage:read": Probe("GET", "volumes"),
    "block_storage_snapshot:read": Probe("GET", "snapshots"),
    "snapshot:read": Probe("GET", "snapshots"),
}
"""Scopes for every stack. DigitalOcean's panel adds regions, sizes and actions to kubernetes:create, but not tags."""
CLUSTER = {
    "kubernetes:create": Probe("POST", "kubernetes/clusters", {}),
    "kubernetes:update": Probe("PUT", _CLUSTER, {}),
    "kubernetes:delete": Probe("DELETE", _CLUSTER),
    "kubernetes:access_cluster": Probe("GET", f"{_CLUSTER}/credentials"),
}
REGISTRY = {
    "registry:read": Probe("GET", "registries"),
    "registry:create": Probe("POST", "registries", {}),
    "registry:update": Probe("POST", f"registries/{_NONEXISTENT_ID}/garbage-collection", {}),
    "registry:delete": Probe("DELETE", f"registries/{_NONEXISTENT_ID}"),
}

VPC = {
    "vpc:read": Probe("GET", "vpcs"),
    "vpc:create": Probe("POST", "vpcs", {}),
    "vpc:update": Probe("PUT", f"vpcs/{_NONEXISTENT_ID}", {}),
    "vpc:delete": Probe("DELETE", f"vpcs/{_NONEXISTENT_ID}"),
}
"""Scopes for a private network that the stack creates."""
_RECORD = "domains/nowhere.invalid/records/0"
DOMAIN = {
    "domain:read": Probe("GET", "domains"),
    "domain:create": Probe("POST", "domains", {}),
    "domain:update": Probe("PUT", _RECORD, {}),
    "domain:delete": Probe("DELETE", _RECORD),
}


@dataclass(frozen=True)
class Check:
    """The result of one check; `fix` is empty if it is ok."""

    name: str
    ok: bool
    said: str
    fix: str = ""


class _Meta(BaseModel):
    total: int


def preflight(api: Api, stack: Stack) -> Iterator[Check]:
    """Runs the checks one after the other; checks that need a failed one are left out.

    Raises:
        OpsError: DigitalOcean or Pulumi can't be asked.
    """
    settings = stack.settings
    if not settings.creates_cluster:
        yield Check("account", True, f"nothing is created on DigitalOcean with kubeContext {settings.kube_context}")
        return
    try:
        account = api.read("account", "account", Account)
    except ApiError as error:
        if error.status == HTTPStatus.UNAUTHORIZED:
            said, _, fix = str(error).rpartition("; fix: ")
            yield Check("token", False, said, fix)
            return
        if error.status != HTTPStatus.FORBIDDEN:
            raise
    else:
        yield Check("token", True, f"valid, of {account}")
        yield Check("account", account.status == "active", account.status, account.status_message)
    probes = (
        READING
        | CLUSTER
        | (REGISTRY if settings.uses_digitalocean_registry else {})
        | (DOMAIN if settings.tls else {})
        | ({} if settings.vpc is None else VPC if settings.vpc.name else {"vpc:read": VPC["vpc:read"]})
    )
    missing = [scope for scope, probe in probes.items() if not _is_allowed(api, probe)]
    yield Check(
        "scopes",
        not missing,
        f"missing: {', '.join(missing)}" if missing else f"all {len(probes)}",
        "a token with these scopes too" if missing else "",
    )
    if missing:
        return
    state = states.read(stack)
    yield from _check_stack(stack, state)
    clusters = {cluster.id: cluster for cluster in api.list("kubernetes/clusters", "kubernetes_clusters", Cluster)}
    existing = registries(api) if settings.uses_digitalocean_registry else []
    yield from _check_state(state, clusters, existing, str(account))
    own = next((clusters[cluster] for cluster in state.of(states.CLUSTER) if cluster in clusters), None)
    options = api.read("kubernetes/options", "options", ClusterOptions)
    minors = list(dict.fromkeys(minor_of(version.slug) for version in options.versions))
    for_nodes = {size.slug for size in options.sizes}
    sizes = {size.slug: size for size in api.list("sizes", "sizes", Size) if size.slug in for_nodes}
    yield _check_room(settings, sizes)
    yield from _check_pools(settings, sizes)
    owned_vpcs = state.of(states.VPC)
    vpcs = list(api.list("vpcs", "vpcs", VpcDocument)) if settings.vpc or owned_vpcs else []
    if own is None:
        yield _choice("kubernetesVersion", settings.first_version, minors)
        yield from _check_catalogue(settings, options, sizes)
        yield _check_cluster_name(stack, {cluster.name: cluster for cluster in clusters.values()})
        if settings.vpc:
            yield _check_vpc(settings.vpc, settings.region, vpcs, owned_vpcs)
    else:
        live = _live(own, vpcs, owned_vpcs)
        yield _check_upgrade(live, settings, minors, lambda: _upgrades(api, own.id))
        yield from _check_replacement(live, settings)
        yield from _check_vpc_name(live, settings.vpc, {vpc.name for vpc in vpcs})
    yield from _check_domain(settings, domain_records(api, settings), state)
    yield _check_quota(api, account, settings, sum(pool.count for pool in own.node_pools) if own else 0)
    if settings.uses_digitalocean_registry:
        yield _check_registry(api, stack, existing, state)


def _is_allowed(api: Api, probe: Probe) -> bool:
    try:
        api.call(probe.method, probe.path, probe.body)
    except ApiError as error:
        if error.status in (0, HTTPStatus.TOO_MANY_REQUESTS) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return error.status != HTTPStatus.FORBIDDEN
    return True


def _check_stack(stack: Stack, state: State) -> Iterator[Check]:
    """Checks that Pulumi can decrypt the state of a stack, and that its file is there."""
    if not state.resources:
        return
    try:
        stack.pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack.name)
    except PulumiError as error:
        said, _, fix = str(error).partition("; fix: ")
        yield Check("secrets", False, said, fix or f"see what pulumi stack output --stack {stack.name} prints")
    else:
        yield Check("secrets", True, "Pulumi can decrypt them")
    if stack.missing_file and not stack.settings.workloads and state.of(states.DEPLOYMENT):
        said = f"{stack.missing_file} is missing: pulumi up would delete every service"
        fix = f"git checkout -- {stack.missing_file}, or pulumi config refresh --stack {stack.name}"
        yield Check("stack file", False, said, fix)


def _check_state(state: State, clusters: Mapping[str, Cluster], found: list[Registry], account: str) -> Iterator[Check]:
    """Checks that the account has the ids of the state; if not, the token is most often another team's."""
    names = {registry.name for registry in found}
    missing = [f"cluster {cluster}" for cluster in state.of(states.CLUSTER) if cluster not in clusters]
    if found or state.of(states.REGISTRY):
        missing += [f"registry {name}" for name in state.of(states.REGISTRY) if name not in names]
    if missing:
        detail = f"{', '.join(missing)} of the state is not in the account of {account}"
        fix = "a token of the team that has it; if it was deleted by hand, python -m ops doctor"
        yield Check("state", False, detail, fix)


def _check_room(settings: Settings, sizes: Mapping[str, Size]) -> Check:
    """Checks that the pods fit on the nodes, with the one that a rollout adds."""
    for pool in settings.all_pools.values():
        if pool.size not in sizes:
            return Check("room", True, f"unknown: {pool.size} is no size for nodes")

    def size_of(slug: str) -> capacity.NodeSize:
        return capacity.NodeSize(sizes[slug].vcpus, sizes[slug].memory)

    shortage = capacity.shortage(settings, size_of)
    if shortage is None:
        return Check("room", True, "the pods fit, also while they are updated")
    return Check("room", False, f"{shortage.key}: {shortage.problem}", shortage.fix)


def _fitting(settings: Settings, sizes: Mapping[str, Size]) -> list[str]:
    """Slugs of the sizes that nodes may have in the region, the cheapest first."""
    return [
        size.slug
        for size in sorted(sizes.values(), key=lambda size: size.price_monthly)
        if size.memory >= SMALLEST_NODE_MIB and size.available and settings.region in size.regions
    ]


def _check_catalogue(settings: Settings, options: ClusterOptions, sizes: Mapping[str, Size]) -> Iterator[Check]:
    yield _choice("region", settings.region, [region.slug for region in options.regions])
    yield _choice("nodeSize", settings.node_size, _fitting(settings, sizes), f" in {settings.region}")


def _check_pools(settings: Settings, sizes: Mapping[str, Size]) -> Iterator[Check]:
    for key, pool in settings.node_pools.items():
        yield _choice(
            f"nodePools.{key}.size", pool.size, _fitting(settings, sizes), f" in {settings.region}", "--path "
        )


def _choice(key: str, value: str, choices: list[str], where: str = "", option: str = "") -> Check:
    if value in choices:
        return Check(key, True, f"{value}{where}")
    shown = ", ".join(choices[:13]) or "none"
    fix = f"pulumi config set {option}{key} {choices[0]}" if choices else "choose another region"
    return Check(key, False, f'"{value}" is not on offer{where}; allowed: {shown}', fix)


def _check_vpc(vpc: Vpc, region: str, found: list[VpcDocument], owned: Collection[str]) -> Check:
    """The private network of a new cluster; the stack may have made it in an `up` that failed."""
    here = {network.id: network for network in found if network.region == region}
    if vpc.id:
        if vpc.id in here:
            return Check("vpc", True, f"{here[vpc.id].name} is there")
        fix = f"pulumi config set --path vpc.id {next(iter(here))}" if here else "write vpc: {name: ...}"
        return Check("vpc", False, f'no VPC "{vpc.id}" in {region}', fix)
    if any(network.id in owned for network in here.values()):
        return Check("vpc", True, "exists and belongs to this stack")
    if any(network.name == vpc.name for network in found):
        return Check("vpc", False, f'a VPC "{vpc.name}" exists already', "write vpc: {id: ...}, or another name")
    if not any(network.default for network in here.values()):
        detail = f"the first VPC in {region} becomes its default one, which DigitalOcean never deletes, nor can destroy"
        return Check("vpc", False, detail, "create one in the control panel, and write vpc: {id: ...}")
    return Check("vpc", True, f"{vpc.name} is free")


def _check_vpc_name(cluster: LiveCluster, vpc: Vpc | None, taken: Collection[str]) -> Iterator[Check]:
    """Checks a new name for the VPC that the stack created."""
    if not (cluster.owns_vpc and cluster.vpc_name and vpc and vpc.name) or vpc.name == cluster.vpc_name:
        return
    if vpc.name in taken:
        fix = f"pulumi config set --path vpc.name {cluster.vpc_name}, or another name"
        yield Check("vpc.name", False, f'a VPC "{vpc.name}" exists already', fix)
    else:
        yield Check("vpc.name", True, f"{cluster.vpc_name} becomes {vpc.name}")


def _check_domain(settings: Settings, records: Mapping[str, list[Record]], state: State) -> Iterator[Check]:
    """Checks that no other record leads clients elsewhere: DNS shares them out among all records of a name."""
    others = [
        f"{record.type} record to {record.data}"
        for found in records.values()
        for record in found
        if record.type in ADDRESSES and record.id not in state.of(states.RECORD)
    ]
    if others:
        detail = f"{settings.domain} has another {', another '.join(others)}, which gets a part of the requests"
        yield Check("domain", False, detail, "delete it in the control panel, or set another domain")
    elif records:
        yield Check("domain", True, f"{settings.domain} leads nowhere else")


def _check_cluster_name(stack: Stack, taken: Mapping[str, Cluster]) -> Check:
    name = stack.settings.cluster_name
    if name not in taken:
        return Check("clusterName", True, f"{name} is free")
    ownership = Ownership(other_stacks=lambda: resources_of_other_stacks(stack))
    other = ownership.other_stack(states.CLUSTER, taken[name].id, name)
    owner = f"stack {other}'s" if other else "and the state of this stack doesn't have it"
    doctor = "" if other else f", or python -m ops doctor --stack {stack.name}"
    fix = f"pulumi config set clusterName with another name{doctor}"
    return Check("clusterName", False, f'a cluster "{name}" exists already, {owner}', fix)


def _live(cluster: Cluster, vpcs: Iterable[VpcDocument], owned_vpcs: Collection[str]) -> LiveCluster:
    sizes = [pool.size for pool in cluster.node_pools if DEFAULT_POOL_TAG in pool.tags]
    vpc = next((network for network in vpcs if network.id == cluster.vpc_uuid), None)
    return LiveCluster(
        name=cluster.name,
        region=cluster.region,
        version=cluster.version,
        status=cluster.status.state,
        node_size=sizes[0] if sizes else "",
        vpc=cluster.vpc_uuid,
        vpc_name=vpc.name if vpc else "",
        vpc_range=vpc.ip_range if vpc else "",
        owns_vpc=cluster.vpc_uuid in owned_vpcs,
    )


def _upgrades(api: Api, cluster: str) -> list[str]:
    """Versions that DigitalOcean can upgrade the cluster to."""
    listed = api.list(f"kubernetes/clusters/{cluster}/upgrades", "available_upgrade_versions", Slug, null_is_empty=True)
    return [version.slug for version in listed]


def _check_upgrade(
    live: LiveCluster, settings: Settings, offered: list[str], available: Callable[[], list[str]]
) -> Check:
    """Checks an upgrade of the cluster, and warns of what it may break."""
    key = "kubernetesVersion"
    if error := cluster_changes.upgrade_error(settings, live, offered):
        return Check(key, False, f'"{error.value}" {error.problem}; allowed: {error.allowed}', error.fix)
    if not cluster_changes.is_upgrade(settings, live):
        return Check(key, True, f"cluster {live.name} runs {live.version}")
    wanted = settings.kubernetes_version
    if wanted not in offered:
        return _choice(key, wanted, [live.minor, *(minor for minor in offered if minor != live.minor)])
    if broken := cluster_changes.unsupported(wanted):
        return Check(key, False, f"{live.version} to {wanted}: {broken}", f"pulumi config set {key} {live.minor}")
    return _check_upgrades(live, settings, available())


def _check_upgrades(live: LiveCluster, settings: Settings, available: list[str]) -> Check:
    """Returns the versions to which DigitalOcean can upgrade the cluster on the way to the configured one."""
    key, wanted = "kubernetesVersion", settings.kubernetes_version
    newest = cluster_changes.upgrade_to(settings, live, available)
    if newest is None:
        detail = f'"{wanted}" is not on offer for cluster {live.name}, which runs {live.version}'
        return Check(key, False, detail, f"pulumi config set {key} {live.minor}")
    is_first = minor_of(newest) == live.minor
    aim = f"{newest} first, the newest patch of {live.minor}" if is_first else wanted
    again = f"; pulumi up again for {wanted}, when the cluster runs again" if is_first else ""
    detail = (
        f"pulumi up upgrades cluster {live.name} from {live.version} to {aim}; its nodes are replaced one by one{again}"
    )
    return Check(key, True, detail)


def _check_replacement(cluster: LiveCluster, settings: Settings) -> Iterator[Check]:
    """Checks the settings that can't change after a cluster is created."""
    if error := cluster_changes.vpc_error(settings, cluster):
        yield Check(error.key, False, f"{error.problem}; allowed: {error.allowed}", error.fix)
    for error in cluster_changes.replacements(settings, cluster):
        if settings.allow_replace:
            detail = f"{error.allowed} becomes {error.value}: pulumi up deletes cluster {cluster.name} with all in it"
            yield Check(error.key, True, detail)
        else:
            yield Check(error.key, False, f'"{error.value}" {error.problem}; allowed: {error.allowed}', error.fix)


def _check_quota(api: Api, account: Account, settings: Settings, have: int) -> Check:
    """Checks the account's Droplet limit for the largest number of nodes."""
    limit = account.droplet_limit
    meta = api.read("droplets", "meta", _Meta)
    pools = settings.all_pools.values()
    wanted = sum(pool.most for pool in pools)
    more, most = max(wanted - have, 0), have + limit - meta.total
    at_most = " at most" if any(pool.autoscale for pool in pools) else ""
    detail = f"{meta.total} of {limit} Droplets in use, {more} more wanted{at_most}"
    least = most - (wanted - settings.default_pool.most)
    key = "--path nodeAutoscale.max" if settings.node_autoscale else "nodeCount"
    lowest = settings.node_autoscale.min if settings.node_autoscale else 1
    fewer = [f"pulumi config set {key} {least}"] if least >= lowest else []
    fix = ", ".join([*fewer, "remove Droplets, or ask DigitalOcean for more"])
    enough = more <= max(limit - meta.total, 0)
    return Check("quota", enough, detail, "" if enough else fix)


def _check_registry(api: Api, stack: Stack, found: list[Registry], state: State) -> Check:
    wanted, names = stack.settings.registry, [registry.name for registry in found]
    if wanted.existing:
        return _check_existing_registry(str(wanted.name), names, state)
    own = next((registry for registry in found if registry.name in state.of(states.REGISTRY)), None)
    if own:
        return _check_registry_replacement(own, wanted.name, wanted.region)
    if found and (subscription := found[0].subscription):
        # One subscription is for all of an account's registries: a new one doesn't change it.
        tier = subscription.tier.slug
        there = f"the account has {', '.join(names)}, and its tier {tier} allows"
        if len(found) >= REGISTRIES.get(tier, 1):
            return Check("registry", False, f"{there} no more", _existing_registry(names))
        if wanted.tier != tier:
            fix = f"pulumi config set --path registry.tier {tier}"
            return Check("registry", False, f"{there} another, but not of tier {wanted.tier}", fix)
    if wanted.name:
        try:
            api.call("POST", "registry/validate-name", {"name": wanted.name})
        except ApiError as error:
            if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise
            return Check("registry", False, f'the name "{wanted.name}" is taken or bad', "set another registry.name")
    regions = api.read("registries/options", "options", RegistryOptions).available_regions
    return _choice("registry.region", wanted.region, regions)


def _check_existing_registry(wanted: str, names: list[str], state: State) -> Check:
    if wanted in state.of(states.REGISTRY):
        detail = f'registry "{wanted}" is this stack\'s own: as an existing one, pulumi up deletes it with its images'
        return Check("registry", False, detail, "pulumi config rm --path registry.existing")
    if wanted not in names:
        return Check("registry", False, f'registry "{wanted}" is not there', _existing_registry(names))
    return Check("registry", True, f'registry "{wanted}" is there')


def _check_registry_replacement(own: Registry, name: str | None, region: str) -> Check:
    """A registry keeps its name and its region: to change them, `up` deletes it and pushes the images to another."""
    for key, wanted, actual in (("name", name or own.name, own.name), ("region", region, own.region)):
        if wanted != actual:
            detail = f'{key} "{wanted}" instead of {actual}: pulumi up deletes registry {own.name} with its images'
            fix = f"pulumi config set --path registry.{key} {actual}; or go on, and the images are pushed again"
            return Check("registry", False, detail, fix)
    return Check("registry", True, "exists and belongs to this stack")


def _existing_registry(names: list[str]) -> str:
    if not names:
        return "remove existing: true, and the stack creates one"
    return f"write registry: {{kind: digitalocean, name: {names[0]}, existing: true}}"
