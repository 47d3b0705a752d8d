"""Private networks (VPCs), which cost nothing: those that were made, and each region's default one."""

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.ledger import timestamp

Document = dict[str, Any]
_LARGEST, _SMALLEST = 16, 24
"""Prefix lengths."""


class Vpcs(dict[str, Document]):
    """The account's networks by id.

    Args:
        members: the ids of the networks that resources are in; one is named as often as it has members.
    """

    def __init__(self, members: Callable[[], Iterable[str]]) -> None:
        super().__init__()
        self._members = members

    def default_of(self, region: str) -> str:
        """The id of a region's default network, which comes with the first resource that names none."""
        for identifier, document in self.items():
            if document["region"] == region and document["default"]:
                return identifier
        identifier = catalog.default_vpc(region)
        self._add(identifier, f"default-{region}", region, self._free_range(), default=True)
        return identifier

    def chosen(self, identifier: str | None, region: str) -> str:
        """The network that a request names, else the region's default one.

        Raises:
            ApiError: there is no such network in that region.
        """
        if not identifier:
            return self.default_of(region)
        if identifier not in self or self[identifier]["region"] != region:
            raise ApiError(422, "validation error: VPC does not exist in this region")
        return identifier

    def create(self, name: str, region: str, ip_range: str | None, description: str = "") -> Document:
        """Creates a network. The first one of a region becomes its default one.

        Raises:
            ApiError: the name or the range is taken or malformed.
        """
        self._check_name(name)
        if region not in catalog.REGIONS:
            raise ApiError(422, "Region is invalid")
        if ip_range:
            self._check(ip_range)
        is_first = not any(document["region"] == region for document in self.values())
        created = self._add(str(uuid.uuid4()), name, region, ip_range or self._free_range(), default=is_first)
        created["description"] = description
        return created

    def rename(self, document: Document, name: str) -> None:
        """Renames a network; raises ApiError if the name is taken or malformed."""
        if name != document["name"]:
            self._check_name(name)
            document["name"] = name

    def remove(self, identifier: str) -> None:
        """Raises NotFoundError, or ApiError for a network with members and for a default one."""
        if find(self, identifier)["default"]:
            raise ApiError(403, "Can not delete default VPCs")
        if identifier in self._members():
            raise ApiError(403, "Can not delete VPC with members")
        del self[identifier]

    def _add(self, identifier: str, name: str, region: str, ip_range: str, *, default: bool) -> Document:
        self[identifier] = {
            "id": identifier,
            "urn": f"do:vpc:{identifier}",
            "name": name,
            "description": "",
            "region": region,
            "ip_range": ip_range,
            "default": default,
            "created_at": timestamp(),
        }
        return self[identifier]

    def _check_name(self, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", name):
            raise ApiError(422, "Name must only contain alphanumeric characters, dashes, and periods")
        if any(document["name"] == name for document in self.values()):
            raise ApiError(422, "Name is already in use")

    def _check(self, ip_range: str) -> None:
        try:
            network = ipaddress.IPv4Network(ip_range)
        except ValueError as error:
            raise ApiError(422, f"IP range is invalid: {error}") from None
        if not network.is_private or not _LARGEST <= network.prefixlen <= _SMALLEST:
            raise ApiError(422, "IP range must be private, of a size from /16 to /24")
        if any(network.overlaps(ipaddress.IPv4Network(document["ip_range"])) for document in self.values()):
            raise ApiError(422, "This range/size overlaps with another VPC network in your account")

    def _free_range(self) -> str:
        taken = [ipaddress.IPv4Network(document["ip_range"]) for document in self.values()]
        ranges = ipaddress.IPv4Network("10.108.0.0/14").subnets(new_prefix=20)
        return str(next(candidate for candidate in ranges if not any(candidate.overlaps(other) for other in taken)))
