"""Droplets, volumes and volume snapshots: billed documents by their id."""

import uuid
from functools import partial
from typing import Any, ClassVar

from sandbox.digitalocean import catalog
from sandbox.digitalocean.context import Context
from sandbox.digitalocean.ledger import timestamp

Document = dict[str, Any]
_FIRST_DROPLET = 400_000_001


class Store(dict[str, Document]):
    """Documents by id."""

    kind: ClassVar[str]
    """On the bill."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    def add(self, document: Document, price_monthly: float) -> Document:
        identifier = str(document["id"])
        self[identifier] = document
        self._context.ledger.bill(self.kind, identifier, document["name"], price_monthly, document["tags"])
        return document

    def delete(self, identifier: str) -> None:
        self.pop(identifier, None)
        self._context.ledger.end(self.kind, identifier)


class Droplets(Store):
    """Droplets are deleted after the settings' delay."""

    kind = "droplet"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = _FIRST_DROPLET

    def create(self, name: str, region: str, size: catalog.Size, tags: list[str], vpc: str) -> Document:
        document: Document = {
            "id": self._next,
            "name": name,
            "memory": size.memory_mib,
            "vcpus": size.vcpus,
            "disk": size.disk_gib,
            "size_slug": size.slug,
            "size": size.document(),
            "region": catalog.region(region),
            "status": "active",
            "tags": tags,
            "vpc_uuid": vpc,
            "networks": {
                "v4": [
                    {"ip_address": address, "netmask": "255.255.255.0", "gateway": "127.0.0.254", "type": kind}
                    for address, kind in (("127.0.0.1", "public"), ("127.0.0.2", "private"))
                ],
                "v6": [],
            },
            "image": {"id": 1, "name": "DOKS node", "distribution": "Debian", "slug": None, "type": "base"},
            "locked": False,
            "features": [],
            "backup_ids": [],
            "snapshot_ids": [],
            "next_backup_window": None,
            "volume_ids": [],
            "created_at": timestamp(),
        }
        self._next += 1
        return self.add(document, size.price_monthly)

    def delete(self, identifier: str) -> None:
        self._context.scheduler.later(self._context.settings.node_delete, partial(super().delete, identifier))


class Volumes(Store):
    kind = "volume"

    def create(self, name: str, region: str, gibibytes: int, tags: list[str]) -> Document:
        document: Document = {
            "id": str(uuid.uuid4()),
            "name": name,
            "size_gigabytes": gibibytes,
            "region": catalog.region(region),
            "droplet_ids": [],
            "tags": tags,
            "created_at": timestamp(),
        }
        return self.add(document, catalog.VOLUME_PER_GIB * gibibytes)


class Snapshots(Store):
    kind = "volume_snapshot"

    def create(self, name: str, volume: Document, tags: list[str]) -> Document:
        size = volume["size_gigabytes"]
        document: Document = {
            "id": str(uuid.uuid4()),
            "name": name,
            "resource_id": volume["id"],
            "resource_type": "volume",
            "regions": [volume["region"]["slug"]],
            "min_disk_size": size,
            "size_gigabytes": size,
            "tags": tags,
            "created_at": timestamp(),
        }
        return self.add(document, catalog.SNAPSHOT_PER_GIB * size)
