"""/v2/droplets, /v2/volumes, /v2/snapshots and /v2/tags."""

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("compute")


@family.serves("GET /v2/droplets", "droplet:read")
def list_droplets() -> ResponseReturnValue:
    tag = request.args.get("tag_name")
    return page("droplets", [droplet for droplet in cloud.droplets.values() if tag is None or tag in droplet["tags"]])


@family.serves("DELETE /v2/droplets/<identifier>", "droplet:delete")
def delete_droplet(identifier: str) -> ResponseReturnValue:
    droplet = str(find(cloud.droplets, identifier)["id"])
    cloud.droplets.delete(droplet)
    cloud.clusters.pools.lose(droplet)
    return "", 204


@family.serves("GET /v2/volumes", "block_storage:read")
def list_volumes() -> ResponseReturnValue:
    return page("volumes", cloud.volumes.values())


@family.serves("POST /v2/volumes", "block_storage:create")
def create_volume() -> ResponseReturnValue:
    requested = body()
    if requested.get("region") not in catalog.REGIONS:
        raise ApiError(422, "invalid region")
    size, tags = int(requested["size_gigabytes"]), requested.get("tags") or []
    return {"volume": cloud.volumes.create(requested["name"], requested["region"], size, tags)}, 201


@family.serves("DELETE /v2/volumes/<identifier>", "block_storage:delete")
def delete_volume(identifier: str) -> ResponseReturnValue:
    cloud.volumes.delete(find(cloud.volumes, identifier)["id"])
    return "", 204


@family.serves("POST /v2/volumes/<identifier>/snapshots", "block_storage_snapshot:create")
def create_snapshot(identifier: str) -> ResponseReturnValue:
    volume, requested = find(cloud.volumes, identifier), body()
    return {"snapshot": cloud.snapshots.create(requested["name"], volume, requested.get("tags") or [])}, 201


@family.serves("GET /v2/snapshots", "block_storage_snapshot:read", "snapshot:read")
def list_snapshots() -> ResponseReturnValue:
    return page("snapshots", cloud.snapshots.values())


@family.serves("DELETE /v2/snapshots/<identifier>", "block_storage_snapshot:delete")
def delete_snapshot(identifier: str) -> ResponseReturnValue:
    cloud.snapshots.delete(find(cloud.snapshots, identifier)["id"])
    return "", 204


@family.serves("GET /v2/tags", "tag:read")
def list_tags() -> ResponseReturnValue:
    tagged = [*cloud.droplets.values(), *cloud.volumes.values(), *cloud.snapshots.values()]
    return page("tags", [{"name": name} for name in sorted({tag for document in tagged for tag in document["tags"]})])


@family.serves("GET /v2/actions", "actions:read")
def list_actions() -> ResponseReturnValue:
    return page("actions", [])
