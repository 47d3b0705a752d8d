"""The account's state: one object under one lock, gone when the daemon ends."""

import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sandbox.digitalocean import catalog
from sandbox.digitalocean.clusters import ClusterRecord, Clusters, Document, StartKubernetes
from sandbox.digitalocean.errors import NotFoundError
from sandbox.digitalocean.ledger import Ledger, timestamp
from sandbox.digitalocean.load_balancers import LoadBalancers
from sandbox.digitalocean.registries import Registries
from sandbox.host import addresses

if TYPE_CHECKING:
    from sandbox.digitalocean.faults import Call, Fault

Sign = Callable[[str, list[dict[str, Any]]], str]
"""(subject, granted access) -> a token that the registry believes."""


class Settings(BaseModel):
    """What a test may turn. Delays in seconds: how long DigitalOcean takes after it has answered."""

    model_config = ConfigDict(extra="forbid")

    cluster_create: float = 0
    """At least; the real Kubernetes takes its time on top."""
    cluster_delete: float = 2
    cluster_upgrade: float = 2
    node_create: float = 2
    node_delete: float = 2
    load_balancer_create: float = 3
    load_balancer_delete: float = 2
    droplet_limit: int = 10
    load_balancer_limit: int = 50
    requests_per_hour: int = 5000
    requests_per_minute: int = 250
    versions: tuple[str, ...] = catalog.VERSIONS
    registry_names_taken: tuple[str, ...] = ()
    """Registry names that other accounts have."""


class Cloud:
    """One DigitalOcean account.

    Args:
        token: the API token with every scope; more are added under /_control/tokens.
        start_kubernetes: starts the cluster of a record and returns when its nodes are ready.
        settings: delays and quotas.
        sign: makes the registry's tokens; without it /_registry/token answers 503.
        real_kubernetes: one cluster at a time, its Services watched. False for a stand-in of Kubernetes.
    """

    def __init__(
        self,
        token: str,
        start_kubernetes: StartKubernetes,
        settings: Settings | None = None,
        *,
        sign: Sign | None = None,
        real_kubernetes: bool = True,
    ) -> None:
        self.lock = threading.Condition()
        self.stopped = threading.Event()
        self.settings = settings or Settings()
        self.tokens: dict[str, list[str] | None] = {token: None}
        self.sign = sign
        self.registry_host = addresses.REGISTRY
        self.uuid = str(uuid.uuid4())
        self.ledger = Ledger()
        self.faults: list[Fault] = []
        self.calls: deque[Call] = deque(maxlen=100_000)
        self.droplets: dict[str, Document] = {}
        self.volumes: dict[str, Document] = {}
        self.snapshots: dict[str, Document] = {}
        self.domains: dict[str, list[Document]] = {}
        """zone -> its records"""
        self.last_record = 0
        self.vpcs: dict[str, Document] = {}
        default: Document = {
            "id": str(uuid.uuid4()),
            "name": "first-project",
            "is_default": True,
            "created_at": timestamp(),
        }
        self.projects: dict[str, Document] = {default["id"]: default}
        self.project_resources: dict[str, str] = {}
        """urn -> when it was assigned to the project"""
        self.clusters: Clusters = Clusters(self, start_kubernetes, real=real_kubernetes)
        self.load_balancers: LoadBalancers = LoadBalancers(self)
        self.registries: Registries = Registries(self)
        self._next_droplet = 400_000_000

    def stop(self) -> None:
        """Ends the cluster and all listeners; idempotent."""
        self.stopped.set()
        self.clusters.stop()
        self.load_balancers.stop()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Does `action` under the lock after `seconds`, at once if that is 0, never after `stop`."""

        def act() -> None:
            if not self.stopped.wait(seconds):
                with self.lock:
                    action()

        if seconds <= 0:
            act()
        else:
            threading.Thread(target=act, daemon=True).start()

    def allows(self, token: str, scope: str) -> bool:
        """Whether an API token has a scope (https://docs.digitalocean.com/reference/api/scopes/)."""
        scopes = self.tokens[token]
        if scopes is None or scope in scopes or "api:write" in scopes:
            return True
        return scope.endswith(":read") and "api:read" in scopes

    def add_droplet(self, name: str, region: str, size: catalog.Size, tags: list[str], vpc: str) -> Document:
        self._next_droplet += 1
        droplet: Document = {
            "id": self._next_droplet,
            "name": name,
            "memory": size.memory_mib,
            "vcpus": size.vcpus,
            "disk": size.disk_gib,
            "size_slug": size.slug,
            "size": size.document(),
            "region": self.region(region),
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
        self.droplets[str(droplet["id"])] = droplet
        self.ledger.bill("droplet", str(droplet["id"]), name, size.price_monthly, tags)
        return droplet

    def remove_droplet(self, identifier: str) -> None:
        self.droplets.pop(identifier, None)
        self.ledger.end("droplet", identifier)

    def remove_volume(self, identifier: str) -> None:
        self.volumes.pop(identifier, None)
        self.ledger.end("volume", identifier)

    def remove_snapshot(self, identifier: str) -> None:
        self.snapshots.pop(identifier, None)
        self.ledger.end("volume_snapshot", identifier)

    def default_vpc(self, region: str) -> Document:
        """The region's own VPC, made when first needed, as DigitalOcean does."""
        for vpc in self.vpcs.values():
            if vpc["region"] == region and vpc["default"]:
                return vpc
        return self.add_vpc(f"default-{region}", region, default=True)

    def add_vpc(self, name: str, region: str, ip_range: str = "", *, default: bool = False) -> Document:
        identifier = str(uuid.uuid4())
        vpc: Document = {
            "id": identifier,
            "urn": f"do:vpc:{identifier}",
            "name": name,
            "description": "",
            "region": region,
            "ip_range": ip_range or f"10.{100 + len(self.vpcs)}.0.0/20",
            "default": default,
            "created_at": timestamp(),
        }
        self.vpcs[identifier] = vpc
        return vpc

    def vpc_members(self, identifier: str) -> list[tuple[str, Document]]:
        """(kind, document) of what is in a VPC, things that are on their way out included."""
        groups: dict[str, list[Document]] = {
            "droplet": list(self.droplets.values()),
            "loadbalancer": list(self.load_balancers.documents.values()),
            "kubernetes": [record.document for record in self.clusters.records.values()],
        }
        return [(kind, d) for kind, group in groups.items() for d in group if d.get("vpc_uuid") == identifier]

    def region(self, slug: str) -> Document:
        return {
            "slug": slug,
            "name": catalog.REGIONS[slug],
            "sizes": [size.slug for size in catalog.SIZES.values() if slug in size.regions],
            "available": True,
            "features": ["backups", "ipv6", "metadata", "storage"],
        }

    def tagged(self) -> dict[str, list[Document]]:
        """Everything that can have tags, by the name that /v2/tags counts it under."""
        return {
            "droplets": list(self.droplets.values()),
            "volumes": list(self.volumes.values()),
            "volume_snapshots": list(self.snapshots.values()),
            "load_balancers": list(self.load_balancers.documents.values()),
            "kubernetes": [record.document for record in self.clusters.records.values()],
        }

    def cluster(self, identifier: str) -> ClusterRecord:
        """Raises NotFoundError."""
        try:
            return self.clusters.records[identifier]
        except KeyError:
            raise NotFoundError from None
