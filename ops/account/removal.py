"""Deletes one resource of the account, if it is provably the stack's."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from ops.account.billed import BilledResource, Owner
from ops.account.documents import Record, Size
from ops.account.inventory import Inventory
from ops.digitalocean import Api, ApiError, segment
from ops.errors import OpsError
from ops.pulumi.state import CLUSTER, NODE_POOL, RECORD, State


class _Kind(NamedTuple):
    """The call that deletes a kind of resource; `{}` stands for the parts of its id."""

    path: str
    id: str = "ID"


KINDS = {
    # With its load balancers, volumes and snapshots, which would outlive it otherwise.
    "cluster": _Kind("kubernetes/clusters/{}/destroy_with_associated_resources/dangerous"),
    "registry": _Kind("registries/{}", "NAME"),
    "droplet": _Kind("droplets/{}"),
    "load_balancer": _Kind("load_balancers/{}"),
    "volume": _Kind("volumes/{}"),
    "snapshot": _Kind("snapshots/{}"),
    "node_pool": _Kind("kubernetes/clusters/{}/node_pools/{}", "CLUSTER/node_pools/POOL"),
    "dns_record": _Kind("domains/{}/records/{}", "ZONE/records/RECORD"),
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
    path = form.path.format(*(segment(part) for part in parts[::2]))
    if kind == "node_pool":
        resource = _node_pool(api, parts[0], parts[2], inventory, state)
    elif kind == "dns_record":
        resource = _dns_record(api, parts[0], parts[2], state)
    else:
        resource = _listed(kind, identifier, inventory)
    return Target(*resource, path) if resource else Target(f"{kind} {identifier}")


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


def _listed(kind: str, identifier: str, inventory: Inventory) -> tuple[str, str] | None:
    """The resource with name and price, and why it isn't provably the stack's; None if the account doesn't have it."""
    for billed in (*inventory.own, *inventory.others):
        if (billed.kind, billed.id) == (kind, identifier):
            description = f'{kind} "{billed.name}" ({billed.id}), ${inventory.monthly(billed):.2f} a month'
            return description, _why(billed)
    name = inventory.names.get((kind, identifier))
    return None if name is None else (f'{kind} "{name}" ({identifier})', "it is not this stack's")


def _why(resource: BilledResource) -> str:
    """Returns why a resource isn't provably the stack's; empty if it is."""
    return {
        Owner.STACK: "",
        Owner.OTHER_STACK: f"it is stack {resource.other_stack}'s",
        Owner.UNKNOWN: "it may be this stack's or another's: Pulumi's history has no update of this stack",
        Owner.NOBODY: "it belongs to a cluster that this stack never had",
        Owner.SOMEBODY: "it has this stack's name, and no update of this stack created it",
    }[resource.owner]


def _node_pool(api: Api, cluster: str, identifier: str, inventory: Inventory, state: State) -> tuple[str, str] | None:
    pools = inventory.clusters[cluster].node_pools if cluster in inventory.clusters else []
    pool = next((candidate for candidate in pools if candidate.id == identifier), None)
    if pool is None:
        return None
    size = next((size for size in api.list("sizes", "sizes", Size) if size.slug == pool.size), None)
    price = f", ${size.price_monthly * pool.count:.2f} a month" if size else ""
    description = f'node_pool "{pool.name}" ({pool.id}), {pool.count} {pool.size}{price}'
    if not any((resource.kind, resource.id) == ("cluster", cluster) for resource in inventory.own):
        return description, "its cluster is not this stack's"
    own = ((cluster.get("outputs") or {}).get("nodePool") or {} for cluster in state.of(CLUSTER).values())
    in_state = pool.id in {*state.of(NODE_POOL), *(default_pool.get("id") for default_pool in own)}
    return description, "it is in the state: pulumi up or destroy deletes it" if in_state else ""


def _dns_record(api: Api, zone: str, identifier: str, state: State) -> tuple[str, str] | None:
    """An A record is the stack's if the state has it, or a record of the same name that leads to the same address."""
    try:
        records = list(api.list(f"domains/{segment(zone)}/records", "domain_records", Record))
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None
    record = next((candidate for candidate in records if candidate.id == identifier), None)
    if record is None:
        return None
    known = state.of(RECORD)
    addresses = {candidate.data for candidate in records if candidate.id in known and candidate.name == record.name}
    description = f'dns_record "{record.name}.{zone}" ({record.id}) to {record.data}'
    if record.type == "A" and (record.id in known or record.data in addresses):
        return description, ""
    return description, "it points to another address than this stack's"
