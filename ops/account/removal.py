"""Deletes one resource of the account, if it is provably the stack's."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from ops.account.documents import Cluster, Document, Droplet, NodePool, Record, Registry, Size, Stored
from ops.account.inventory import Inventory
from ops.digitalocean import Api, ApiError, segment
from ops.errors import OpsError
from ops.pulumi.state import NODE_POOL, RECORD, State


class _Kind(NamedTuple):
    """How a kind of resource is deleted and read; `{}` stands for the parts of its id."""

    delete: str
    read: str
    key: str
    model: type[Document]
    id: str = "ID"


KINDS = {
    # With its load balancers, volumes and snapshots, which would outlive it otherwise.
    "cluster": _Kind(
        "kubernetes/clusters/{}/destroy_with_associated_resources/dangerous",
        "kubernetes/clusters/{}",
        "kubernetes_cluster",
        Cluster,
    ),
    "registry": _Kind("registries/{}", "registries/{}", "registry", Registry, "NAME"),
    "droplet": _Kind("droplets/{}", "droplets/{}", "droplet", Droplet),
    "load_balancer": _Kind("load_balancers/{}", "load_balancers/{}", "load_balancer", Document),
    "volume": _Kind("volumes/{}", "volumes/{}", "volume", Stored),
    "snapshot": _Kind("snapshots/{}", "snapshots/{}", "snapshot", Stored),
    "node_pool": _Kind(
        "kubernetes/clusters/{}/node_pools/{}",
        "kubernetes/clusters/{}/node_pools/{}",
        "node_pool",
        NodePool,
        "CLUSTER/node_pools/POOL",
    ),
    "dns_record": _Kind(
        "domains/{}/records/{}", "domains/{}/records/{}", "domain_record", Record, "ZONE/records/RECORD"
    ),
}


@dataclass(frozen=True)
class Target:
    """A resource to delete.

    Attributes:
        description: kind, name, id and price.
        reason: why it isn't provably the stack's; empty if it is.
        path: the call that deletes it; None if it is gone already.
    """

    description: str
    reason: str = ""
    path: str | None = None


def target(api: Api, kind: str, identifier: str, inventory: Inventory, state: State) -> Target:
    """Finds a resource by kind and id.

    Raises:
        OpsError: the id is malformed, or the account can't be read.
    """
    form, parts = KINDS[kind], identifier.split("/")
    place = form.id.split("/")
    # A fixed part of the id, such as node_pools, is at every second place.
    if len(parts) != len(place) or parts[1::2] != place[1::2]:
        raise OpsError(f'{kind} "{identifier}"; allowed: {form.id}; fix: copy it from python -m ops doctor or bill')
    ids = [segment(each) for each in parts[::2]]
    found = api.find(form.read.format(*ids), form.key, form.model)
    if found is None:
        return Target(f"{kind} {identifier}")
    description, reason = _describe(api, kind, identifier, found, inventory, state)
    return Target(description, reason, form.delete.format(*ids))


def remove(api: Api, target: Target) -> bool:
    """Deletes the resource; False if it was gone already.

    Raises:
        ApiError: DigitalOcean refuses.
    """
    if target.path is None:
        return False
    try:
        api.call("DELETE", target.path)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def _why(owner: str) -> str:
    reasons = {
        "unknown": "it may be this stack's or another's: Pulumi remembers no update of this stack",
        "nobody": "it is of a cluster that this stack never had",
        "somebody": "it has this stack's name, and no update of this stack created it",
    }
    return reasons.get(owner, f"it is stack {owner}'s")


def _describe(  # noqa: PLR0913, PLR0917 -- everything that is known of it
    api: Api, kind: str, identifier: str, found: Document, inventory: Inventory, state: State
) -> tuple[str, str]:
    """The resource with name and price, and why it isn't provably the stack's."""
    for billed in (*inventory.own, *inventory.others):
        if (billed.kind, billed.id) == (kind, identifier):
            description = f'{kind} "{billed.name}" ({billed.id}), ${inventory.monthly(billed):.2f} a month'
            return description, "" if billed.owner == "stack" else _why(billed.owner)
    parent = identifier.partition("/")[0]
    if isinstance(found, NodePool):
        size = next((each for each in api.list("sizes", "sizes", Size) if each.slug == found.size), None)
        price = f", ${size.price_monthly * found.count:.2f} a month" if size else ""
        description = f'node_pool "{found.name}" ({found.id}), {found.count} {found.size}{price}'
        return description, _why_not_node_pool(parent, found, inventory, state)
    if isinstance(found, Record):
        name = parent if found.name == "@" else f"{found.name}.{parent}"
        description = f'dns_record "{name}" ({found.id}) to {found.data}'
        return description, _why_not_record(api, parent, name, found, state)
    return f'{kind} "{getattr(found, "name", identifier)}" ({identifier})', "it is not this stack's"


def _why_not_node_pool(cluster: str, pool: NodePool, inventory: Inventory, state: State) -> str:
    if not any((each.kind, each.id) == ("cluster", cluster) for each in inventory.own):
        return "its cluster is not this stack's"
    return "it is in the state: pulumi up or destroy deletes it" if pool.id in state.of(NODE_POOL) else ""


def _why_not_record(api: Api, zone: str, name: str, record: Record, state: State) -> str:
    """An A record is the stack's if the state has it, or a record of the same name that leads to the same address."""
    known = state.of(RECORD)
    query = {"type": "A", "name": name}
    addresses = {
        each.data
        for each in api.list(f"domains/{zone}/records", "domain_records", Record, query=query)
        if each.id in known
    }
    return "" if record.id in known or record.data in addresses else "it leads to another address than this stack's"
