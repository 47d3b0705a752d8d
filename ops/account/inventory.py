"""A stack's resources in the account with their prices, and resources that only look like the stack's."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import NamedTuple

from infra.config import prices
from ops.account.billed import BilledResource, Owner, Tagged, price
from ops.account.documents import (
    Account,
    Associated,
    Cluster,
    Droplet,
    LoadBalancer,
    Registry,
    Stored,
    Subscription,
    Vpc,
)
from ops.account.ownership import Names, Ownership, has_own_node_pool
from ops.digitalocean import Api, ApiError, segment
from ops.pulumi.state import CLUSTER, REGISTRY

_CLUSTER_TAG = re.compile(r"k8s:([0-9a-f]{8}-[0-9a-f-]{27})")


class _Listing(NamedTuple):
    """A list of the API whose resources have a cluster's tag."""

    name: str
    """Its path, and its key in the answer."""
    query: Mapping[str, str]
    model: type[Tagged]


_TAGGED = {
    "droplet": _Listing("droplets", {}, Droplet),
    "load_balancer": _Listing("load_balancers", {}, LoadBalancer),
    "volume": _Listing("volumes", {}, Stored),
    "snapshot": _Listing("snapshots", {"resource_type": "volume"}, Stored),
}


@dataclass(frozen=True)
class Inventory:
    """The account as one command read it.

    Attributes:
        own: provably the stack's.
        others: look like the stack's and aren't provably so.
        names: the name of each resource that was read, by kind and id.
        missing: ids in the state that the account doesn't have.
        is_right_account: True if the account has at least one id of the state, and so is the stack's.
        account: whose account it is; read only if an id is missing.
    """

    own: list[BilledResource]
    others: list[BilledResource]
    clusters: Mapping[str, Cluster]
    registries: Mapping[str, Registry]
    load_balancers: Mapping[str, LoadBalancer]
    names: Mapping[tuple[str, str], str]
    missing: list[str] = field(default_factory=list)
    is_right_account: bool = False
    account: str = ""

    @property
    def blind(self) -> list[str]:
        """Reasons why the bill may be incomplete."""
        doubts = [
            f"{resource.kind} {resource.name} ({resource.id}) may be this stack's or another's"
            for resource in self.others
            if resource.owner == Owner.UNKNOWN and resource.kind in ("cluster", "registry")
        ]
        if self.missing and not self.is_right_account:
            doubts += [f"{name} of the state is not in this account: {self.why_missing}" for name in self.missing]
        return doubts

    @property
    def why_missing(self) -> str:
        if self.is_right_account:
            return "it was deleted by hand"
        return f"it was deleted by hand, or the token is another team's (this one is {self.account}'s)"

    def monthly(self, resource: BilledResource) -> float:
        """Price of a resource with everything that goes with it."""
        return resource.monthly + sum(
            part.monthly
            for part in (*self.own, *self.others)
            if resource.kind == "cluster" and part.cluster == resource.id
        )


def inventory(api: Api, names: Names, ownership: Ownership) -> Inventory:
    """Reads the account.

    Raises:
        ApiError: it can't be read.
    """
    # Without tag:read the lists have no tags, and ownership can't be determined.
    api.get("tags", per_page=1)
    # Clusters last: otherwise resources of a cluster created meanwhile would look like orphans.
    tagged = {
        kind: list(api.list(listing.name, listing.name, listing.model, query=listing.query))
        for kind, listing in _TAGGED.items()
    }
    clusters = {cluster.id: cluster for cluster in api.list("kubernetes/clusters", "kubernetes_clusters", Cluster)}
    resources = [resource for cluster in clusters.values() for resource in _cluster(cluster, names, ownership)]
    associated = _associated(api, [clusters[own.id] for own in resources if own.owner == Owner.STACK])
    for kind, documents in tagged.items():
        marked = [
            document.model_copy(update={"tags": [*document.tags, *associated.get((kind, document.id), ())]})
            for document in documents
        ]
        resources += _tagged(kind, marked, clusters, resources, ownership)
    registries = _registries(api, names, ownership)
    resources += _classified_registries(registries, names, ownership)
    vpcs = {vpc.id for vpc in api.list("vpcs", "vpcs", Vpc)} if ownership.vpcs else set()
    known = {
        f"{kind} {identifier}": identifier in there
        for kind, ids, there in (
            ("cluster", ownership.clusters, clusters),
            ("registry", ownership.registries, registries),
            ("vpc", ownership.vpcs, vpcs),
        )
        for identifier in ids
    }
    missing = [name for name, is_there in known.items() if not is_there]
    return Inventory(
        own=[resource for resource in resources if resource.owner == Owner.STACK],
        others=[resource for resource in resources if resource.owner != Owner.STACK],
        clusters=clusters,
        registries=registries,
        load_balancers={
            balancer.id: balancer for balancer in tagged["load_balancer"] if isinstance(balancer, LoadBalancer)
        },
        names={
            **{("cluster", cluster.id): cluster.name for cluster in clusters.values()},
            **{("registry", name): name for name in registries},
            **{(kind, document.id): document.name for kind, documents in tagged.items() for document in documents},
        },
        missing=missing,
        is_right_account=len(missing) < len(known),
        account=str(api.read("account", "account", Account)) if missing else "",
    )


def _cluster(cluster: Cluster, names: Names, ownership: Ownership) -> Iterator[BilledResource]:
    """The cluster, if it is the stack's or bears its name."""
    monthly = prices.HIGH_AVAILABILITY if cluster.ha else 0
    if ownership.owns_cluster(cluster):
        yield _billed("cluster", cluster.id, cluster.name, monthly)
    elif cluster.name == names.cluster:
        other = ownership.other_stack(CLUSTER, cluster.id, cluster.name)
        # Without any history the state may have been lost, and with it this resource.
        is_unknown = has_own_node_pool(cluster) and not ownership.has_history
        yield _of_somebody(_billed("cluster", cluster.id, cluster.name, monthly), other, is_unknown=is_unknown)


def _associated(api: Api, own: Iterable[Cluster]) -> dict[tuple[str, str], list[str]]:
    """The cluster's tag for each resource that DigitalOcean deletes with one of them, by the resource's kind and id.

    DigitalOcean's description doesn't promise tags in its answers about load balancers.
    """
    result: dict[tuple[str, str], list[str]] = {}
    for cluster in own:
        path = f"kubernetes/clusters/{segment(cluster.id)}/destroy_with_associated_resources"
        if cluster.runs and (associated := api.find(path, "", Associated)):
            kinds = {
                "load_balancer": associated.load_balancers,
                "volume": associated.volumes,
                "snapshot": associated.volume_snapshots,
            }
            result |= {(kind, part.id): [f"k8s:{cluster.id}"] for kind, parts in kinds.items() for part in parts}
    return result


def _tagged(
    kind: str,
    documents: Iterable[Tagged],
    clusters: Mapping[str, Cluster],
    classified: list[BilledResource],
    ownership: Ownership,
) -> list[BilledResource]:
    """Resources with the tag of one of these clusters, or of a cluster that is gone."""
    classified_clusters = {resource.id: resource for resource in classified if resource.kind == "cluster"}
    result = []
    for document in documents:
        ids = [match[1] for tag in document.tags if (match := _CLUSTER_TAG.fullmatch(tag))]
        cluster = next(
            (classified_clusters[identifier] for identifier in ids if identifier in classified_clusters), None
        )
        orphan = bool(ids) and not any(identifier in clusters for identifier in ids)
        if not (cluster or orphan):
            continue
        owner = cluster.owner if cluster else Owner.NOBODY
        if orphan and any(
            identifier in ownership.clusters or identifier in ownership.earlier_ids() for identifier in ids
        ):
            owner = Owner.STACK
        monthly, hourly = price(kind, document)
        result.append(
            BilledResource(
                kind,
                document.id,
                document.name,
                round(monthly, 2),
                hourly,
                cluster.id if cluster else ids[0],
                orphan=orphan,
                owner=owner,
                other_stack=cluster.other_stack if cluster else "",
            )
        )
    return result


def _registries(api: Api, names: Names, ownership: Ownership) -> dict[str, Registry]:
    known = (*ownership.registries, *ownership.used_registries, *ownership.registry_attempts)
    needed = names.registry is not None or known
    try:
        return {registry.name: registry for registry in registries(api)}
    except ApiError as error:
        if needed or error.status != HTTPStatus.FORBIDDEN:
            raise
        return {}  # a token without registry:read has created no registry


def registries(api: Api) -> list[Registry]:
    """Reads the account's registries, each with its subscription."""
    listed = list(api.list("registries", "registries", Registry, null_is_empty=True))
    if any(registry.subscription is None for registry in listed):
        subscription = api.read("registries/subscription", "subscription", Subscription)
        listed = [registry.model_copy(update={"subscription": subscription}) for registry in listed]
    return listed


def _classified_registries(
    registries_by_name: Mapping[str, Registry], names: Names, ownership: Ownership
) -> Iterator[BilledResource]:
    for position, registry in enumerate(registries_by_name.values()):
        cents = registry.subscription.tier.monthly_price_in_cents if registry.subscription else 0
        # One subscription pays for all registries of the account.
        monthly = 0 if position else cents / 100
        if ownership.owns_registry(registry, registries_by_name.values()):
            yield _billed("registry", registry.name, registry.name, monthly)
        elif registry.name == names.registry:
            other = ownership.other_stack(REGISTRY, registry.name, registry.name)
            billed = _billed("registry", registry.name, registry.name, monthly)
            yield _of_somebody(billed, other, is_unknown=not ownership.has_history)


def _billed(kind: str, identifier: str, name: str, monthly: float) -> BilledResource:
    return BilledResource(kind, identifier, name, round(monthly, 2), prices.hourly(monthly))


def _of_somebody(resource: BilledResource, other_stack: str, *, is_unknown: bool) -> BilledResource:
    """Returns a resource that has the stack's name and isn't provably the stack's, with its owner."""
    owner = Owner.OTHER_STACK if other_stack else Owner.UNKNOWN if is_unknown else Owner.SOMEBODY
    return replace(resource, owner=owner, other_stack=other_stack)
