"""Domains and their records. The account's zones are what the sandbox's name servers answer from."""

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean.errors import ApiError, NotFoundError
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("domains")
Document = dict[str, Any]
_TTL = 1800
_TYPES = {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"}
_OPTIONAL = ("priority", "port", "weight", "flags", "tag")


def _zone(name: str) -> list[Document]:
    if name not in cloud.domains:
        raise NotFoundError
    return cloud.domains[name]


def _record(zone: str, identifier: int) -> Document:
    for record in _zone(zone):
        if record["id"] == identifier:
            return record
    raise NotFoundError


def _document(name: str) -> Document:
    return {"name": name, "ttl": _TTL, "zone_file": f"$ORIGIN {name}.\n$TTL {_TTL}\n"}


@family.serves("GET /v2/domains", "domain:read")
def list_domains() -> ResponseReturnValue:
    return page("domains", [_document(name) for name in cloud.domains])


@family.serves("POST /v2/domains", "domain:create")
def create_domain() -> ResponseReturnValue:
    name = str(body().get("name") or "")
    if "." not in name:
        raise ApiError(422, "Name is not a valid domain name")
    if name in cloud.domains:
        raise ApiError(422, f"Name {name} already exists")
    cloud.domains[name] = []
    for server in ("ns1", "ns2", "ns3"):
        _add(name, {"type": "NS", "name": "@", "data": f"{server}.digitalocean.com"})
    return {"domain": _document(name)}, 201


@family.serves("GET /v2/domains/<name>", "domain:read")
def get_domain(name: str) -> ResponseReturnValue:
    _zone(name)
    return {"domain": _document(name)}


@family.serves("DELETE /v2/domains/<name>", "domain:delete")
def delete_domain(name: str) -> ResponseReturnValue:
    _zone(name)
    del cloud.domains[name]
    return "", 204


def _add(zone: str, asked: Document) -> Document:
    if asked.get("type") not in _TYPES:
        raise ApiError(422, "Type is not included in the list")
    if not asked.get("data"):
        raise ApiError(422, "Data can't be blank")
    cloud.last_record += 1
    record: Document = {
        "id": cloud.last_record,
        "type": asked["type"],
        "name": asked.get("name") or "@",
        "data": asked["data"],
        "ttl": asked.get("ttl") or _TTL,
        **{key: asked.get(key) for key in _OPTIONAL},
    }
    cloud.domains[zone].append(record)
    return record


@family.serves("GET /v2/domains/<zone>/records", "domain:read")
def list_records(zone: str) -> ResponseReturnValue:
    name, kind = request.args.get("name"), request.args.get("type")
    chosen = [
        record
        for record in _zone(zone)
        if kind in (None, record["type"]) and name in (None, full_name(zone, record["name"]))
    ]
    return page("domain_records", chosen)


@family.serves("POST /v2/domains/<zone>/records", "domain:create", "domain:update")
def create_record(zone: str) -> ResponseReturnValue:
    _zone(zone)
    return {"domain_record": _add(zone, body())}, 201


@family.serves("GET /v2/domains/<zone>/records/<int:identifier>", "domain:read")
def get_record(zone: str, identifier: int) -> ResponseReturnValue:
    return {"domain_record": _record(zone, identifier)}


@family.serves("PUT /v2/domains/<zone>/records/<int:identifier>", "domain:update")
def update_record(zone: str, identifier: int) -> ResponseReturnValue:
    record, asked = _record(zone, identifier), body()
    record |= {key: asked[key] for key in ("type", "name", "data", "ttl", *_OPTIONAL) if asked.get(key) is not None}
    return {"domain_record": record}


@family.serves("DELETE /v2/domains/<zone>/records/<int:identifier>", "domain:delete", "domain:update")
def delete_record(zone: str, identifier: int) -> ResponseReturnValue:
    _zone(zone).remove(_record(zone, identifier))
    return "", 204


def full_name(zone: str, name: str) -> str:
    return zone if name == "@" else f"{name}.{zone}"
