"""/v2/load_balancers."""

from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("load_balancers")


@family.serves("GET /v2/load_balancers", "load_balancer:read")
def list_load_balancers() -> ResponseReturnValue:
    return page("load_balancers", cloud.load_balancers.documents.values())


@family.serves("GET /v2/load_balancers/<identifier>", "load_balancer:read")
def get_load_balancer(identifier: str) -> ResponseReturnValue:
    return {"load_balancer": find(cloud.load_balancers.documents, identifier)}


@family.serves("POST /v2/load_balancers", "load_balancer:create")
def create_load_balancer() -> ResponseReturnValue:
    requested = body()
    if requested.get("region") not in catalog.REGIONS:
        raise ApiError(422, "invalid region")
    return {"load_balancer": cloud.load_balancers.create(requested)}, 202


@family.serves("PUT /v2/load_balancers/<identifier>", "load_balancer:update")
def update_load_balancer(identifier: str) -> ResponseReturnValue:
    balancer = find(cloud.load_balancers.documents, identifier)
    cloud.load_balancers.update(balancer, body())
    return {"load_balancer": balancer}


@family.serves("DELETE /v2/load_balancers/<identifier>", "load_balancer:delete")
def delete_load_balancer(identifier: str) -> ResponseReturnValue:
    cloud.load_balancers.delete(find(cloud.load_balancers.documents, identifier)["id"])
    return "", 204
