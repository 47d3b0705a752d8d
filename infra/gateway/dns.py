"""The name by which the gateway is found: a record in the account's zone, where the account has that zone."""

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as digitalocean

from infra.lookups import ask

TTL = 300
"""Seconds until a new address is known everywhere."""


def zone_of(domain: str) -> str | None:
    """The account's zone that a domain belongs to, the longest if there are several; None: it is kept elsewhere."""
    zones = [zone.name for zone in ask(digitalocean.get_domains).domains]
    return max((zone for zone in zones if f".{domain}".endswith(f".{zone}")), key=len, default=None)


def record(
    domain: str, zone: str, address: pulumi.Input[str], gateway: Sequence[pulumi.Resource]
) -> digitalocean.DnsRecord:
    """The A record. No part of the cluster, so it is destroyed by itself, and before the gateway's address goes."""
    name = domain.removesuffix(zone).rstrip(".") or "@"
    return digitalocean.DnsRecord(
        "domain",
        domain=zone,
        type="A",
        name=name,
        value=address,
        ttl=TTL,
        opts=pulumi.ResourceOptions(depends_on=[*gateway]),
    )
