"""What an account has of a stack, and what it costs."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from ops.account import prices
from ops.account.ownership import AUTOMATIC_NAME, Past
from ops.digitalocean import Api, ApiError
from ops.pulumi.stack import Settings
from ops.pulumi.state import CLUSTER, REGISTRY

Document = dict[str, Any]
_CLUSTER_TAG = re.compile(r"k8s:([0-9a-f]{8}-[0-9a-f-]{27})")
DEFAULT_POOL_TAG = "terraform:default-node-pool"
"""By which Pulumi's provider knows a cluster's own node pool."""
RUNS = ("running", "degraded", "upgrading")
"""The states of a cluster whose API server answers."""


@dataclass(frozen=True)
class Thing:
    """Something that is on the bill, or holds a name."""

    kind: str
    id: str
    name: str
    monthly: float
    hourly: float
    orphan: bool = False
    """It bears the tag of a cluster that is gone."""
    unsure: bool = False
    """The program could have made it, and Pulumi doesn't remember this stack: it may be another's."""
    elsewhere: str = ""
    """Another stack that has it: it bears the name that this one is to have, and stands in its way."""

    @property
    def ours(self) -> bool:
        return not (self.unsure or self.elsewhere)

    @property
    def remove(self) -> str:
        """The command that ends it."""
        return f"python -m ops remove {self.kind} {self.id}"


class _Kind(NamedTuple):
    """A list of the API whose things bear a cluster's tag, and where one of them is deleted."""

    path: str
    key: str
    query: dict[str, str]


_TAGGED = {
    "droplet": _Kind("droplets", "droplets", {}),
    "load_balancer": _Kind("load_balancers", "load_balancers", {}),
    "volume": _Kind("volumes", "volumes", {}),
    "snapshot": _Kind("snapshots", "snapshots", {"resource_type": "volume"}),
}
PATHS = {kind: each.path + "/{}" for kind, each in _TAGGED.items()} | {
    # With its load balancers, volumes and snapshots: without it they would be nobody's.
    "cluster": "kubernetes/clusters/{}/destroy_with_associated_resources/dangerous",
    "registry": "registries/{}",
    # By cluster and pool: CLUSTER/node_pools/POOL.
    "node_pool": "kubernetes/clusters/{}",
    # By zone and record: ZONE/records/RECORD.
    "dns_record": "domains/{}",
}
"""What is asked to end a thing of a kind, by its id."""


def inventory(api: Api, settings: Settings, past: Past) -> list[Thing]:
    """All that the stack has in the account, and all that clusters left behind which are gone.

    Whose leftovers these were can't be told any more: the cluster's name went with it. A cluster that is there is known
    by its name, or by the stack's past, where the configuration has another name by now. So is a registry; one that
    Pulumi named is known by the past alone, since other stacks' are called alike. What another stack of the backend has
    in its state is that one's.
    """
    # A token without `tag:read` gets answers without tags, which is what most things are recognised by.
    api.get("tags", per_page=1)
    clusters = list(api.all("kubernetes/clusters", "kubernetes_clusters"))
    named = settings.cluster_name if settings.makes_cluster else None
    found: list[Thing] = []
    for each in clusters:
        thing = _thing("cluster", each, prices.HIGH_AVAILABILITY if each.get("ha") else 0)
        known = each["name"] == named or past.made(each)
        found += _claimed(thing, each, past, known=known, likely=_looks_made(each))
    own = {thing.id for thing in found if thing.ours}
    gone_unless = {each["id"] for each in clusters}
    for kind, (path, key, query) in _TAGGED.items():
        for document in api.all(path, key, **query):
            tags = document.get("tags") or []
            ids = {match[1] for tag in tags if (match := _CLUSTER_TAG.fullmatch(tag))}
            if ids and (ids & own or not ids & gone_unless):
                found.append(_thing(kind, document, _monthly(kind, document), orphan=not ids & own))
    return [*found, *_registries(api, settings, past)]


def _claimed(thing: Thing, document: Document, past: Past, *, known: bool, likely: bool) -> Iterator[Thing]:
    """A cluster or registry, if it is the stack's, or may be, or is another stack's under the name of this one's."""
    if known or (likely and not past.known):
        other = past.other_stack(CLUSTER if thing.kind == "cluster" else REGISTRY, document)
        if known or not other:
            yield dataclasses.replace(thing, unsure=not known, elsewhere=other)


def _looks_made(cluster: Document) -> bool:
    """Whether the program may have made it, by the node pool that it gives to its clusters."""
    return any(
        pool["name"] == f"{cluster['name']}-default-pool" and DEFAULT_POOL_TAG in (pool.get("tags") or [])
        for pool in cluster["node_pools"]
    )


def _registries(api: Api, settings: Settings, past: Past) -> Iterator[Thing]:
    needed = settings.makes_registry or past.registries or past.registry_attempts
    if past.known and not needed:
        return  # and a token without a scope for registries is enough
    try:
        documents = registries(api)
    except ApiError as error:
        if needed or error.status != HTTPStatus.FORBIDDEN:
            raise
        return  # a token that may not look for one hasn't made one
    name = settings.registry.name
    wanted = name if settings.makes_registry else None
    adopted = name if settings.registry.existing else None
    for position, document in enumerate(documents):
        cents = document["subscription"]["tier"]["monthly_price_in_cents"]
        # One subscription pays for all registries of the account.
        thing = _thing("registry", document | {"id": document["name"]}, 0 if position else cents / 100)
        if thing.name != adopted:
            known, likely = thing.name == wanted or past.made_registry(document), AUTOMATIC_NAME.fullmatch(thing.name)
            yield from _claimed(thing, document, past, known=known, likely=bool(likely))


def registries(api: Api) -> list[Document]:
    """The account's registries, each with its subscription."""
    found: list[Document] = api.get("registries").get("registries") or []
    if found and any("subscription" not in each for each in found):
        subscription = api.get("registries/subscription")["subscription"]
        found = [each | {"subscription": subscription} for each in found]
    return found


def _thing(kind: str, document: Document, monthly: float, *, orphan: bool = False) -> Thing:
    size = document.get("size") if kind == "droplet" else None
    hourly = size["price_hourly"] if isinstance(size, dict) else prices.hourly(monthly)
    return Thing(kind, str(document["id"]), document["name"], round(monthly, 2), hourly, orphan)


def _monthly(kind: str, document: Document) -> float:
    if kind == "droplet":
        return float(document["size"]["price_monthly"])
    if kind == "load_balancer":
        # What has no type in the answer is of the older, cheaper kind.
        return prices.LOAD_BALANCER[document.get("type") or "REGIONAL"] * int(document.get("size_unit") or 1)
    per_gib = prices.VOLUME_PER_GIB if kind == "volume" else prices.SNAPSHOT_PER_GIB
    return per_gib * float(document["size_gigabytes"])
