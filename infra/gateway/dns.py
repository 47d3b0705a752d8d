"""The DNS record that points the gateway's domain at its address."""

from collections.abc import Sequence

import pulumi
import pulumi_digitalocean as digitalocean

from infra.config.tls import Tls

_TTL_SECONDS = 300


def dns_record(
    tls: Tls, zone: str, address: pulumi.Input[str], gateway: Sequence[pulumi.Resource]
) -> digitalocean.DnsRecord:
    """Creates the A record in a zone of the account, once the resources of the gateway exist.

    It isn't part of the cluster: `destroy` deletes it on its own, and before the gateway's address goes.
    """
    return digitalocean.DnsRecord(
        "domain",
        domain=zone,
        type="A",
        name=tls.record_name(zone),
        value=address,
        ttl=_TTL_SECONDS,
        opts=pulumi.ResourceOptions(depends_on=[*gateway]),
    )
