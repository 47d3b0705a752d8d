"""/v2/vpcs."""

from flask.typing import ResponseReturnValue

from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("vpcs")
VPC = "/v2/vpcs/<vpc_id>"


@family.serves("GET /v2/vpcs", "vpc:read")
def list_vpcs() -> ResponseReturnValue:
    return page("vpcs", cloud.vpcs.values())


@family.serves("POST /v2/vpcs", "vpc:create")
def create() -> ResponseReturnValue:
    requested = body()
    name, region = str(requested.get("name") or ""), str(requested.get("region") or "")
    description = str(requested.get("description") or "")
    return {"vpc": cloud.vpcs.create(name, region, requested.get("ip_range"), description)}, 201


@family.serves(f"GET {VPC}", "vpc:read")
def get(vpc_id: str) -> ResponseReturnValue:
    return {"vpc": find(cloud.vpcs, vpc_id)}


@family.serves(f"PATCH {VPC}", "vpc:update")
@family.serves(f"PUT {VPC}", "vpc:update")
def update(vpc_id: str) -> ResponseReturnValue:
    document, requested = find(cloud.vpcs, vpc_id), body()
    if document["default"] and requested.get("default") is False:
        raise ApiError(422, "The default field can not be unset")
    if name := requested.get("name"):
        cloud.vpcs.rename(document, str(name))
    if (description := requested.get("description")) is not None:
        document["description"] = description
    return {"vpc": document}


@family.serves(f"DELETE {VPC}", "vpc:delete")
def delete(vpc_id: str) -> ResponseReturnValue:
    cloud.vpcs.remove(vpc_id)
    return "", 204
