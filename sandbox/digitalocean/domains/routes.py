"""/v2/domains."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean.domains.models import OPTIONAL, TTL, full_name
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("domains")
_RECORDS = "/v2/domains/<zone>/records"
_RECORD = f"{_RECORDS}/<int:identifier>"


def _document(name: str) -> dict[str, Any]:
    return {"name": name, "ttl": TTL, "zone_file": f"$ORIGIN {name}.\n$TTL {TTL}\n"}


@family.serves("GET /v2/domains", "domain:read")
def list_domains() -> ResponseReturnValue:
    return page("domains", [_document(name) for name in cloud.domains])


@family.serves("POST /v2/domains", "domain:create")
def create_domain() -> ResponseReturnValue:
    name = str(body().get("name") or "")
    cloud.domains.create(name)
    return {"domain": _document(name)}, 201


@family.serves(f"GET {_RECORDS}", "domain:read")
def list_records(zone: str) -> ResponseReturnValue:
    name, kind = request.args.get("name"), request.args.get("type")
    chosen = [
        record
        for record in cloud.domains.records(zone)
        if kind in (None, record["type"]) and name in (None, full_name(zone, record["name"]))
    ]
    return page("domain_records", chosen)


@family.serves(f"POST {_RECORDS}", "domain:create", "domain:update")
def create_record(zone: str) -> ResponseReturnValue:
    return {"domain_record": cloud.domains.add_record(zone, body())}, 201


@family.serves(f"GET {_RECORD}", "domain:read")
def get_record(zone: str, identifier: int) -> ResponseReturnValue:
    return {"domain_record": cloud.domains.record(zone, identifier)}


@family.serves(f"PATCH {_RECORD}", "domain:update")
@family.serves(f"PUT {_RECORD}", "domain:update")
def update_record(zone: str, identifier: int) -> ResponseReturnValue:
    record, requested = cloud.domains.record(zone, identifier), body()
    keys = ("type", "name", "data", "ttl", *OPTIONAL)
    record |= {key: requested[key] for key in keys if requested.get(key) is not None}
    return {"domain_record": record}


@family.serves(f"DELETE {_RECORD}", "domain:delete", "domain:update")
def delete_record(zone: str, identifier: int) -> ResponseReturnValue:
    cloud.domains.records(zone).remove(cloud.domains.record(zone, identifier))
    return "", 204
