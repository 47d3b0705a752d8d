"""DigitalOcean's regions, versions, sizes and tiers. Prices in US dollars a month."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

BILLED_HOURS = 672
"""A month's price is reached after this many hours (pricing page of DigitalOcean Kubernetes)."""

HIGH_AVAILABILITY = 40.0
LOAD_BALANCER = {"REGIONAL": 12.0, "REGIONAL_NETWORK": 15.0, "GLOBAL": 15.0}
"""Per node of the load balancer."""
VOLUME_PER_GIB = 0.10
SNAPSHOT_PER_GIB = 0.06

REGISTRY_REGIONS = ("nyc3", "sfo3", "sfo2", "ams3", "sgp1", "fra1", "blr1", "syd1")
REGIONS = {
    "nyc1": "New York 1",
    "nyc2": "New York 2",
    "nyc3": "New York 3",
    "ams3": "Amsterdam 3",
    "sfo2": "San Francisco 2",
    "sfo3": "San Francisco 3",
    "sgp1": "Singapore 1",
    "lon1": "London 1",
    "fra1": "Frankfurt 1",
    "tor1": "Toronto 1",
    "blr1": "Bangalore 1",
    "syd1": "Sydney 1",
    "atl1": "Atlanta 1",
}
KUBERNETES_REGIONS = tuple(slug for slug in REGIONS if slug != "nyc2")
VERSIONS = ("1.36.3-do.0", "1.35.7-do.0", "1.34.10-do.0")
HIGH_AVAILABILITY_FROM = (1, 36)


@dataclass(frozen=True)
class Size:
    slug: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    price_monthly: float
    price_hourly: float
    memory_mib_for_pods: int
    """Allocatable memory of a Kubernetes node of this size (0: not offered as one)."""
    not_in: frozenset[str] = field(default=frozenset())

    @property
    def regions(self) -> list[str]:
        return [slug for slug in REGIONS if slug not in self.not_in]

    def document(self) -> dict[str, Any]:
        return {
            "slug": self.slug,
            "memory": self.memory_mib,
            "vcpus": self.vcpus,
            "disk": self.disk_gib,
            "transfer": 2.0,
            "price_monthly": self.price_monthly,
            "price_hourly": self.price_hourly,
            "regions": self.regions,
            "available": True,
            "description": "Basic" if self.slug.startswith("s-") else "Dedicated CPU",
        }


SIZES = {
    size.slug: size
    for size in (
        Size("s-1vcpu-1gb", 1, 1024, 25, 6, 0.00893, 0),
        Size("s-1vcpu-2gb", 1, 2048, 50, 12, 0.01786, 1574),
        Size("s-2vcpu-2gb", 2, 2048, 60, 18, 0.02679, 1574),
        Size("s-2vcpu-4gb", 2, 4096, 80, 24, 0.03571, 2560),
        Size("s-4vcpu-8gb", 4, 8192, 160, 48, 0.07143, 6144),
        Size("s-8vcpu-16gb", 8, 16384, 320, 96, 0.14286, 13312),
        # Not every region has every size; one missing pair is enough to test the refusal.
        Size("c-2", 2, 4096, 25, 42, 0.0625, 2560, frozenset({"syd1"})),
        Size("g-2vcpu-8gb", 2, 8192, 25, 63, 0.09375, 6144),
    )
}
KUBERNETES_SIZES = {slug: size for slug, size in SIZES.items() if size.memory_mib_for_pods}


@dataclass(frozen=True)
class Tier:
    """A registry subscription; 0 repositories means any number."""

    slug: str
    price_monthly: float
    repositories: int
    storage_bytes: int
    registries: int

    def document(self) -> dict[str, Any]:
        return {
            "name": self.slug.capitalize(),
            "slug": self.slug,
            "included_repositories": self.repositories,
            "included_storage_bytes": self.storage_bytes,
            "allow_storage_overage": self.slug != "starter",
            "included_bandwidth_bytes": self.storage_bytes,
            "monthly_price_in_cents": round(self.price_monthly * 100),
            "storage_overage_price_in_cents": 0 if self.slug == "starter" else 2,
        }


TIERS = {
    tier.slug: tier
    for tier in (
        Tier("starter", 0, 1, 500 * 2**20, 1),
        Tier("basic", 5, 5, 5 * 2**30, 1),
        Tier("professional", 20, 0, 100 * 2**30, 10),
    )
}


def region(slug: str) -> dict[str, Any]:
    return {
        "slug": slug,
        "name": REGIONS[slug],
        "sizes": [size.slug for size in SIZES.values() if slug in size.regions],
        "available": True,
        "features": ["backups", "ipv6", "metadata", "storage"],
    }


def default_vpc(region: str) -> str:
    """Returns the id of a region's default VPC."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"default-{region}.vpc"))


def version_key(slug: str) -> tuple[int, ...]:
    """The order of version slugs: 1.34.10-do.0 -> (1, 34, 10, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", slug))


def kubernetes_version(slug: str) -> dict[str, Any]:
    return {"slug": slug, "kubernetes_version": slug.partition("-")[0], "supported_features": ["cluster-autoscaler"]}
