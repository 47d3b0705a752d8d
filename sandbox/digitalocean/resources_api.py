"""What a bill payer looks at: droplets, load balancers, volumes, snapshots, VPCs, projects and tags."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.errors import ApiError, NotFoundError
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("resources")
Document = dict[str, Any]


def _found(things: dict[str, Document], identifier: str) -> Document:
    if identifier not in things:
        raise NotFoundError
    return things[identifier]


def _region(asked: Document) -> str:
    if asked.get("region") not in catalog.REGIONS:
        raise ApiError(422, "invalid region")
    return str(asked["region"])


def _serve_collection(
    key: str,
    scope: str,
    things: Callable[[], dict[str, Document]],
    remove: Callable[[Cloud, str], None] | None = None,
    *more_to_list: str,
) -> None:
    """The list (with its tag, name and region filters), the single thing, and its end if `remove` brings it."""

    @family.serves(f"GET /v2/{key}", f"{scope}:read", *more_to_list)
    def list_all() -> ResponseReturnValue:
        tag, name, region = (request.args.get(key) for key in ("tag_name", "name", "region"))
        chosen = [
            thing
            for thing in things().values()
            if (tag is None or tag in thing["tags"])
            and (name is None or name == thing["name"])
            and (region is None or region == thing["region"]["slug"])
        ]
        return page(key, chosen)

    @family.serves(f"GET /v2/{key}/<identifier>", f"{scope}:read")
    def get(identifier: str) -> ResponseReturnValue:
        return {key[:-1]: _found(things(), identifier)}

    if remove:

        @family.serves(f"DELETE /v2/{key}/<identifier>", f"{scope}:delete")
        def delete(identifier: str) -> ResponseReturnValue:
            _found(things(), identifier)
            remove(cloud, identifier)
            return "", 204


def _remove_droplet(account: Cloud, identifier: str) -> None:
    """A cluster's node pool doesn't notice; DigitalOcean's would replace the node."""
    account.later(account.settings.node_delete, partial(account.remove_droplet, identifier))


def _remove_load_balancer(account: Cloud, identifier: str) -> None:
    account.load_balancers.delete(identifier)


def _remove_vpc(account: Cloud, identifier: str) -> None:
    if account.vpcs[identifier]["default"]:
        raise ApiError(403, "Can not delete default VPCs")
    if account.vpc_members(identifier):
        raise ApiError(409, "Can not delete VPC with members")
    del account.vpcs[identifier]


_serve_collection("droplets", "droplet", lambda: cloud.droplets, _remove_droplet)
_serve_collection(
    "load_balancers",
    "load_balancer",
    lambda: cloud.load_balancers.documents,
    _remove_load_balancer,
)
_serve_collection("volumes", "block_storage", lambda: cloud.volumes, Cloud.remove_volume)
_serve_collection(
    "snapshots", "block_storage_snapshot", lambda: cloud.snapshots, Cloud.remove_snapshot, "snapshot:read"
)
_serve_collection("vpcs", "vpc", lambda: cloud.vpcs, _remove_vpc)
_serve_collection("projects", "project", lambda: cloud.projects)


@family.serves("POST /v2/load_balancers", "load_balancer:create")
def create_load_balancer() -> ResponseReturnValue:
    asked = body()
    _region(asked)
    return {"load_balancer": cloud.load_balancers.create(asked)}, 202


@family.serves("PUT /v2/load_balancers/<identifier>", "load_balancer:update")
def update_load_balancer(identifier: str) -> ResponseReturnValue:
    balancer = _found(cloud.load_balancers.documents, identifier)
    cloud.load_balancers.update(balancer, body())
    return {"load_balancer": balancer}


@family.serves("POST /v2/volumes", "block_storage:create")
def create_volume() -> ResponseReturnValue:
    asked = body()
    volume: Document = {
        "id": str(uuid.uuid4()),
        "name": asked["name"],
        "size_gigabytes": int(asked["size_gigabytes"]),
        "region": cloud.region(_region(asked)),
        "droplet_ids": [],
        "tags": asked.get("tags") or [],
        "created_at": timestamp(),
    }
    cloud.volumes[volume["id"]] = volume
    price = catalog.VOLUME_PER_GIB * volume["size_gigabytes"]
    cloud.ledger.bill("volume", volume["id"], volume["name"], price, volume["tags"])
    return {"volume": volume}, 201


@family.serves("POST /v2/volumes/<identifier>/snapshots", "block_storage_snapshot:create")
def create_snapshot(identifier: str) -> ResponseReturnValue:
    volume, asked = _found(cloud.volumes, identifier), body()
    snapshot: Document = {
        "id": str(uuid.uuid4()),
        "name": asked["name"],
        "resource_id": identifier,
        "resource_type": "volume",
        "regions": [volume["region"]["slug"]],
        "min_disk_size": volume["size_gigabytes"],
        "size_gigabytes": volume["size_gigabytes"],
        "tags": asked.get("tags") or [],
        "created_at": timestamp(),
    }
    cloud.snapshots[snapshot["id"]] = snapshot
    price = catalog.SNAPSHOT_PER_GIB * snapshot["size_gigabytes"]
    cloud.ledger.bill("volume_snapshot", snapshot["id"], snapshot["name"], price, snapshot["tags"])
    return {"snapshot": snapshot}, 201


@family.serves("POST /v2/vpcs", "vpc:create")
def create_vpc() -> ResponseReturnValue:
    asked = body()
    return {"vpc": cloud.add_vpc(asked["name"], _region(asked), asked.get("ip_range", ""))}, 201


@family.serves("GET /v2/vpcs/<identifier>/members", "vpc:read")
def list_vpc_members(identifier: str) -> ResponseReturnValue:
    _found(cloud.vpcs, identifier)
    members = [
        {"urn": f"do:{kind}:{member['id']}", "name": member["name"], "created_at": member["created_at"]}
        for kind, member in cloud.vpc_members(identifier)
    ]
    return page("members", members)


def _resources(owned: dict[str, str], status: str) -> list[Document]:
    return [{"urn": urn, "assigned_at": at, "links": {}, "status": status} for urn, at in owned.items()]


@family.serves("GET /v2/projects/<identifier>/resources", "project:read")
def list_project_resources(identifier: str) -> ResponseReturnValue:
    _found(cloud.projects, identifier)
    return page("resources", _resources(cloud.project_resources, "ok"))


@family.serves("POST /v2/projects/<identifier>/resources", "project:update")
def assign_resources(identifier: str) -> ResponseReturnValue:
    _found(cloud.projects, identifier)
    assigned = dict.fromkeys(body().get("resources", []), timestamp())
    cloud.project_resources |= assigned
    return {"resources": _resources(assigned, "assigned")}


def _tag(name: str) -> Document:
    counts = {k: {"count": sum(name in thing["tags"] for thing in things)} for k, things in cloud.tagged().items()}
    total = sum(count["count"] for count in counts.values())
    return {"name": name, "resources": {"count": total} | counts}


@family.serves("GET /v2/tags", "tag:read")
def list_tags() -> ResponseReturnValue:
    used = {tag for things in cloud.tagged().values() for thing in things for tag in thing["tags"]}
    return page("tags", [_tag(name) for name in sorted(used)])


@family.serves("GET /v2/tags/<name>", "tag:read")
def get_tag(name: str) -> ResponseReturnValue:
    tag = _tag(name)
    if not tag["resources"]["count"]:
        raise NotFoundError
    return {"tag": tag}
