"""The whole stack: microservices behind an API gateway, on a Kubernetes cluster.

registry --> images -----> services ---------------------------+
                         /                                     +--> routes
cluster ---> namespace -+--> gateway --> consumers, plugins ---+
"""

from pathlib import Path

import pulumi

from infra import dns, policies, settings
from infra.account import existing_registry, newest_version
from infra.certificates import Certificate, CertificateArgs
from infra.cluster import Cluster, ClusterArgs, ExistingCluster
from infra.gateway import Gateway, GatewayArgs
from infra.image import Image, ImageArgs, ReadyImage
from infra.kong import Consumer, ConsumerArgs
from infra.namespace import Namespace, NamespaceArgs
from infra.registry import DigitalOceanRegistry, DigitalOceanRegistryArgs, Registry, other_registry
from infra.service import Service, ServiceArgs

config = settings.read()
account = settings.read_digitalocean()

# Asked before anything is made, since the answer may be no.
version = "" if config.kube_context else newest_version(config.kubernetes_version)
wanted = config.registry
adopted = existing_registry(wanted.name) if wanted.existing else None
zone = dns.zone_of(config.domain) if config.domain and not config.kube_context else None

cluster: Cluster | ExistingCluster
if config.kube_context:
    cluster = ExistingCluster("cluster", config.kube_context)
else:
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            name=config.cluster_name,
            region=config.region,
            version=version,
            node_size=config.node_size,
            node_count=config.node_count,
            ha=config.ha,
            api_endpoint=account.api_endpoint,
            stack=pulumi.get_stack() if account.token_in_config else None,
        ),
    )
# Objects in a cluster that is destroyed go with it: no call for each, and no credential needed.
in_cluster = pulumi.ResourceOptions(provider=cluster.provider, deleted_with=cluster.resource)

gateway = Gateway(
    "kong",
    GatewayArgs(
        namespace=settings.GATEWAY_NAMESPACE,
        cluster=cluster.resource,
        kube_context=config.kube_context,
        chart_repository=config.chart_repository,
        service_type=config.proxy_service_type,
        digitalocean=not config.kube_context,
        domain=config.domain or None,
        plugins=config.as_set("gateway", policies.gateway_plugins(config.gateway, https=bool(config.domain))),
        environment=policies.gateway_environment(config.gateway),
    ),
    opts=pulumi.ResourceOptions(provider=cluster.provider),
)

# Beside the cluster, not after it: images are built and pushed while DigitalOcean makes the nodes.
if wanted.kind == "digitalocean" and not adopted and not any(service.build for service in config.services):
    registry = Registry()  # nothing to push
elif wanted.kind == "digitalocean":
    registry = DigitalOceanRegistry(
        "registry",
        DigitalOceanRegistryArgs(name=wanted.name, existing=adopted, tier=wanted.tier, region=wanted.region),
    ).registry
elif wanted.server:
    registry = other_registry(wanted.server, wanted.username, wanted.plain_password)
else:
    registry = Registry()

namespace = Namespace("services", NamespaceArgs(name=config.namespace, docker_config=registry.pull), opts=in_cluster)

certificate = None
if config.domain:
    record = dns.record(config.domain, zone, gateway.ip, gateway.ready) if zone else None
    certificate = Certificate(
        "certificate",
        CertificateArgs(
            domain=config.domain,
            email=config.email,
            acme=config.acme,
            namespace=namespace.name,
            manager_namespace=settings.CERTIFICATES_NAMESPACE,
            cluster=cluster.resource,
            chart_repository=config.cert_manager_chart_repository,
            found=record,
            gateway=gateway.ready,
        ),
        opts=in_cluster,
    )
    if not record:
        pulumi.export("dns_record", pulumi.Output.concat(config.domain, ". A ", gateway.ip))

consumers = [
    Consumer(
        consumer.name,
        ConsumerArgs(
            namespace=namespace.name,
            groups=consumer.groups,
            jwt=consumer.jwt_credential,
            api_key=consumer.plain_api_key,
            gateway=gateway.release,
        ),
        opts=in_cluster,
    )
    for consumer in config.consumers
]

for service in config.services:
    # DigitalOcean's nodes are amd64; your own cluster's are what builds here.
    platform = None if config.kube_context else "linux/amd64"
    image = (
        Image(service.name, ImageArgs(directory=service.build, registry=registry, platform=platform))
        if service.build
        else ReadyImage(service.image)
    )
    rules = policies.route_rules(service, https=bool(config.domain))
    Service(
        service.name,
        ServiceArgs(
            namespace=namespace.name,
            image=image.ref,
            image_digest=image.digest,
            pull_secret=namespace.pull_secret,
            path=service.path,
            port=service.port,
            replicas=service.replicas,
            health=service.health_path,
            env=config.as_set("services", service.env),
            requests=service.resources.requests.model_dump(),
            limits=service.resources.limits.model_dump(),
            plugins=config.as_set("services", rules.plugins),
            route_plugins=rules.named,
            route_annotations=rules.route,
            upstream_annotations=rules.upstream,
            domain=config.domain or None,
            tls_secret=certificate.secret if certificate else None,
            # Whom a route asks for has to be known before it asks.
            gateway=[*gateway.ready, *(consumers if service.auth else [])],
        ),
        opts=in_cluster,
    )
    pulumi.export(f"{service.name}_url", pulumi.Output.concat(gateway.url, service.path))

pulumi.export("proxy_ip", gateway.ip)
pulumi.export("proxy_url", gateway.url)
if gateway.command:
    pulumi.export("proxy_command", gateway.command)
pulumi.export("cluster_id", cluster.id)
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("registry", registry.endpoint)
pulumi.export("readme", Path("Pulumi.README.md").read_text())
