"""The outputs of the stack: docs/reference/outputs.md describes each."""

from collections.abc import Sequence
from pathlib import Path

import pulumi

from infra.cluster.cluster import Cluster
from infra.gateway.certificate import Certificate
from infra.gateway.consumers import Consumer
from infra.gateway.gateway import Gateway
from infra.images.registry import Registry
from infra.monitoring.monitoring import Monitoring
from infra.services.service import Service


def export(  # noqa: PLR0913 -- everything that has outputs
    *,
    cluster: Cluster,
    registry: Registry,
    gateway: Gateway,
    certificate: Certificate | None,
    consumers: Sequence[Consumer],
    services: Sequence[Service],
    monitoring: Monitoring | None,
) -> None:
    pulumi.export("proxy_ip", gateway.ip)
    pulumi.export("proxy_url", gateway.url)
    if gateway.command:
        pulumi.export("proxy_command", gateway.command)
    if certificate and certificate.missing_record:
        pulumi.export("dns_record", certificate.missing_record)
    if consumers:
        # The next `up` reads them: infra/gateway/consumer_identity.py.
        pulumi.export(
            "consumers", pulumi.Output.secret({consumer.object_name: consumer.claims for consumer in consumers})
        )
    for service in services:
        pulumi.export(f"{service.name}_url", service.url)
    for name, command in (monitoring.commands if monitoring else {}).items():
        pulumi.export(name, command)
    pulumi.export("cluster_id", cluster.id)
    pulumi.export("kubeconfig", cluster.kubeconfig)
    pulumi.export("registry", registry.endpoint)
    pulumi.export("readme", Path("Pulumi.README.md").read_text())
