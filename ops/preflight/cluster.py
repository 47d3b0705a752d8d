"""Checks of the cluster: what it is created as, or what `up` changes of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from infra.config import capacity, cluster_changes
from infra.config.cluster_changes import LiveCluster, minor_of
from infra.config.settings import Settings
from ops.account.documents import Account, Cluster, ClusterOptions, Size, Slug, Vpc
from ops.account.ownership import Ownership, resources_of_other_stacks
from ops.digitalocean import Api
from ops.preflight.check import Check, choice
from ops.pulumi import state as states
from ops.pulumi.stack import Stack

SMALLEST_NODE_MIB = 2048
"""DigitalOcean sells no smaller Kubernetes nodes (Kubernetes limits page)."""
_VERSION = "kubernetesVersion"


@dataclass(frozen=True)
class Catalogue:
    """DigitalOcean's offers for new clusters."""

    regions: list[str]
    minors: list[str]
    """Versions of Kubernetes without the patch, such as 1.35."""
    sizes: Mapping[str, Size]

    def sizes_in(self, region: str) -> list[str]:
        """Returns the sizes that nodes may have in the region, the cheapest first."""
        return [
            size.slug
            for size in sorted(self.sizes.values(), key=lambda size: size.price_monthly)
            if size.memory >= SMALLEST_NODE_MIB and size.available and region in size.regions
        ]


class _Meta(BaseModel):
    total: int


def catalogue(api: Api) -> Catalogue:
    options = api.read("kubernetes/options", "options", ClusterOptions)
    for_nodes = {size.slug for size in options.sizes}
    return Catalogue(
        regions=[region.slug for region in options.regions],
        minors=list(dict.fromkeys(minor_of(version.slug) for version in options.versions)),
        sizes={size.slug: size for size in api.list("sizes", "sizes", Size) if size.slug in for_nodes},
    )


def check_room(settings: Settings, offered: Catalogue) -> Check:
    """Checks that the pods fit on the nodes, with the one that a rollout adds."""
    for pool in settings.all_pools.values():
        if pool.size not in offered.sizes:
            return Check("room", True, f"unknown: {pool.size} is no size for nodes")

    def size_of(slug: str) -> capacity.NodeSize:
        return capacity.NodeSize(offered.sizes[slug].vcpus, offered.sizes[slug].memory)

    shortage = capacity.shortage(settings, size_of)
    if shortage is None:
        return Check("room", True, "the pods fit, also while they are updated")
    return Check("room", False, f"{shortage.key}: {shortage.problem}", shortage.fix)


def check_pools(settings: Settings, offered: Catalogue) -> Iterator[Check]:
    sizes = offered.sizes_in(settings.region)
    for key, pool in settings.node_pools.items():
        yield choice(f"nodePools.{key}.size", pool.size, sizes, f" in {settings.region}", "--path ")


def check_choices(settings: Settings, offered: Catalogue) -> Iterator[Check]:
    """Checks that DigitalOcean offers what a new cluster is made of."""
    yield choice(_VERSION, settings.first_version, offered.minors)
    yield choice("region", settings.region, offered.regions)
    yield choice("nodeSize", settings.node_size, offered.sizes_in(settings.region), f" in {settings.region}")


def check_name(stack: Stack, clusters: Iterable[Cluster]) -> Check:
    name = stack.settings.cluster_name
    taken = {cluster.name: cluster for cluster in clusters}
    if name not in taken:
        return Check("clusterName", True, f"{name} is free")
    ownership = Ownership(other_stacks=lambda: resources_of_other_stacks(stack))
    other = ownership.other_stack(states.CLUSTER, taken[name].id, name)
    owner = f"stack {other}'s" if other else "and the state of this stack doesn't have it"
    doctor = "" if other else f", or python -m ops doctor --stack {stack.name}"
    fix = f"pulumi config set clusterName with another name{doctor}"
    return Check("clusterName", False, f'a cluster "{name}" exists already, {owner}', fix)


def live_cluster(cluster: Cluster, vpcs: Iterable[Vpc], owned_vpcs: Collection[str]) -> LiveCluster:
    vpc = next((network for network in vpcs if network.id == cluster.vpc_uuid), None)
    return LiveCluster.read(cluster.model_dump())._replace(
        vpc_name=vpc.name if vpc else "",
        vpc_range=vpc.ip_range if vpc else "",
        owns_vpc=cluster.vpc_uuid in owned_vpcs,
    )


def check_upgrade(api: Api, identifier: str, live: LiveCluster, settings: Settings, offered: Catalogue) -> Check:
    """Checks an upgrade of the cluster, and warns of what it may break."""
    if error := cluster_changes.upgrade_error(settings, live, offered.minors):
        return Check(_VERSION, False, f'"{error.value}" {error.problem}; allowed: {error.allowed}', error.fix)
    if not cluster_changes.is_upgrade(settings, live):
        return Check(_VERSION, True, f"cluster {live.name} runs {live.version}")
    configured = settings.kubernetes_version
    if configured not in offered.minors:
        return choice(_VERSION, configured, [live.minor, *(minor for minor in offered.minors if minor != live.minor)])
    stay = f"pulumi config set {_VERSION} {live.minor}"
    if broken := cluster_changes.unsupported(configured):
        return Check(_VERSION, False, f"{live.version} to {configured}: {broken}", stay)
    newest = cluster_changes.upgrade_to(settings, live, _upgrades(api, identifier))
    if newest is None:
        detail = f'"{configured}" is not on offer for cluster {live.name}, which runs {live.version}'
        return Check(_VERSION, False, detail, stay)
    is_first = minor_of(newest) == live.minor
    aim = f"{newest} first, the newest patch of {live.minor}" if is_first else configured
    again = f"; pulumi up again for {configured}, when the cluster runs again" if is_first else ""
    detail = (
        f"pulumi up upgrades cluster {live.name} from {live.version} to {aim}; its nodes are replaced one by one{again}"
    )
    return Check(_VERSION, True, detail)


def _upgrades(api: Api, cluster: str) -> list[str]:
    """Versions that DigitalOcean can upgrade the cluster to."""
    listed = api.list(f"kubernetes/clusters/{cluster}/upgrades", "available_upgrade_versions", Slug, null_is_empty=True)
    return [version.slug for version in listed]


def check_replacement(cluster: LiveCluster, settings: Settings) -> Iterator[Check]:
    """Checks the settings that can't change after a cluster is created."""
    if error := cluster_changes.vpc_error(settings, cluster):
        yield Check(error.key, False, f"{error.problem}; allowed: {error.allowed}", error.fix)
    for error in cluster_changes.replacements(settings, cluster):
        if settings.allow_replace:
            detail = f"{error.allowed} becomes {error.value}: pulumi up deletes cluster {cluster.name} with all in it"
            yield Check(error.key, True, detail)
        else:
            yield Check(error.key, False, f'"{error.value}" {error.problem}; allowed: {error.allowed}', error.fix)


def check_quota(api: Api, account: Account, settings: Settings, nodes: int) -> Check:
    """Checks the account's Droplet limit for the largest number of nodes; `nodes` are there already."""
    used = api.read("droplets", "meta", _Meta).total
    free = account.droplet_limit - used
    pools = settings.all_pools.values()
    configured = sum(pool.most for pool in pools)
    more = max(configured - nodes, 0)
    at_most = " at most" if any(pool.autoscale for pool in pools) else ""
    detail = f"{used} of {account.droplet_limit} Droplets in use, {more} more wanted{at_most}"
    if more <= max(free, 0):
        return Check("quota", True, detail)
    key, lowest = "nodeCount", 1
    if settings.node_autoscale:
        key, lowest = "--path nodeAutoscale.max", settings.node_autoscale.min
    fitting = nodes + free - (configured - settings.default_pool.most)
    fewer = [f"pulumi config set {key} {fitting}"] if fitting >= lowest else []
    return Check("quota", False, detail, ", ".join([*fewer, "remove Droplets, or ask DigitalOcean for more"]))
