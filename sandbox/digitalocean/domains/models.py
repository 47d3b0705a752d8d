"""The account's zones, which the sandbox's name servers answer from."""

from typing import Any

from sandbox.digitalocean.errors import ApiError, NotFoundError, find

Document = dict[str, Any]
TTL = 1800
OPTIONAL = ("priority", "port", "weight", "flags", "tag")
_TYPES = {"A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT"}


class Domains(dict[str, list[Document]]):
    """The records of each zone."""

    def __init__(self) -> None:
        super().__init__()
        self._last_record = 0

    def create(self, zone: str) -> None:
        """Raises ApiError: not a domain, or there already."""
        if "." not in zone:
            raise ApiError(422, "Name is not a valid domain name")
        if zone in self:
            raise ApiError(422, f"Name {zone} already exists")
        self[zone] = []
        for server in ("ns1", "ns2", "ns3"):
            self.add_record(zone, {"type": "NS", "name": "@", "data": f"{server}.digitalocean.com"})

    def records(self, zone: str) -> list[Document]:
        """Raises NotFoundError."""
        return find(self, zone)

    def record(self, zone: str, identifier: int) -> Document:
        """Raises NotFoundError."""
        for record in self.records(zone):
            if record["id"] == identifier:
                return record
        raise NotFoundError

    def add_record(self, zone: str, requested: Document) -> Document:
        """Raises ApiError: no such zone, no such type, or no data."""
        records = self.records(zone)
        if requested.get("type") not in _TYPES:
            raise ApiError(422, "Type is not included in the list")
        if not requested.get("data"):
            raise ApiError(422, "Data can't be blank")
        self._last_record += 1
        record: Document = {
            "id": self._last_record,
            "type": requested["type"],
            "name": requested.get("name") or "@",
            "data": requested["data"],
            "ttl": requested.get("ttl") or TTL,
            **{key: requested.get(key) for key in OPTIONAL},
        }
        records.append(record)
        return record

    def addresses(self) -> dict[str, list[str]]:
        """IPv4 addresses by name; a name without an A record has none."""
        addresses: dict[str, list[str]] = {}
        for zone, records in self.items():
            for record in records:
                values = addresses.setdefault(full_name(zone, record["name"]), [])
                values += [record["data"]] if record["type"] == "A" else []
        return addresses


def full_name(zone: str, name: str) -> str:
    return zone if name == "@" else f"{name}.{zone}"
