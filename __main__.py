"""The whole stack: microservices behind an API gateway, on a Kubernetes cluster.

registry --> images -----> services ---------------------------+
                         /                                     +--> routes
cluster ---> namespace -+--> gateway --> consumers, plugins ---+
"""

# ruff: noqa: E402 -- the imports are what the collector is disabled for

import gc

# Most objects of a run come with its imports, and stay until it ends: looking for garbage is a fifth of its start.
gc.disable()

from pathlib import Path

import pulumi

from infra.cluster.doks import Cluster, ClusterArgs, ExistingCluster
from infra.config import kong_plugins as policies
from infra.config import namespaces, versions
from infra.gateway import consumer_identity, dns
from infra.gateway import rate_limit_store as counters
from infra.gateway.certificate import Certificate, CertificateArgs
from infra.gateway.gateway import Gateway, GatewayArgs
from infra.gateway.gateway_api import GatewayApi, GatewayApiArgs
from infra.gateway.kong_resources import Consumer, ConsumerArgs
from infra.images.image import Image, ImageArgs, ReadyImage
from infra.images.registry import DigitalOceanRegistry, DigitalOceanRegistryArgs, Registry, other_registry
from infra.kubernetes import field_ownership
from infra.kubernetes import network_policy as network
from infra.kubernetes.crds import of_chart, of_gateway_api
from infra.kubernetes.namespace import Namespace, NamespaceArgs
from infra.loader import load_account, load_config
from infra.lookups import existing_registry, newest_version, previous_output
from infra.monitoring.monitoring import Monitoring, MonitoringArgs
from infra.secrets import mark_secret
from infra.services.deployment import VersionArgs
from infra.services.service import Service, ServiceArgs

config = load_config()
account = load_account()

# Asked before anything is made, since the answer may be no.
kong_kinds = of_chart(config.chart_repository, "kong", versions.KONG_CHART, config.kong_chart_sha256)
gateway_api_kinds = []
has_canaries = config.has_weighted_routes
if has_canaries and config.gateway_api_releases:
    gateway_api_kinds = of_gateway_api(config.gateway_api_releases, versions.GATEWAY_API)
newest = "" if config.kube_context else newest_version(config.kubernetes_version)
wanted = config.registry
adopted = existing_registry(wanted.name) if wanted.existing else None
zone = dns.zone_of(config.domain) if config.domain and not config.kube_context else None
consumer_entries = []
if config.consumers:
    consumer_entries = consumer_identity.arrange(config.consumers, previous_output("consumers") or {})

cluster: Cluster | ExistingCluster
if config.kube_context:
    cluster = ExistingCluster("cluster", config.kube_context)
else:
    # In a cluster of the user's, an object of the same name may be somebody else's: there a conflict stays an error.
    field_ownership.force_apply()
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            name=config.cluster_name,
            region=config.region,
            version=newest,
            node_size=config.node_size,
            node_count=config.node_count,
            ha=config.ha,
            api_endpoint=account.api_endpoint,
            stack=account.stack,
        ),
    )
# Objects in a cluster that is destroyed go with it: no call for each, and no credential needed.
in_cluster = pulumi.ResourceOptions(provider=cluster.provider, deleted_with=cluster.resource)

# Beside the cluster, not after it: images are built and pushed while DigitalOcean makes the nodes.
if wanted.kind == "digitalocean" and not adopted and not config.built_images:
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

namespace = Namespace(
    "services",
    NamespaceArgs(
        name=config.namespace,
        docker_config=registry.pull,
        policies=network.solver_policy(namespaces.GATEWAY) if config.domain else {},
    ),
    opts=in_cluster,
)

# One count for all of Kong's pods; None: there is one pod, or nothing to count.
counting = counters.host(namespaces.GATEWAY) if config.needs_rate_limit_store else None
gateway = Gateway(
    "kong",
    GatewayArgs(
        namespace=namespaces.GATEWAY,
        cluster=cluster.resource,
        kube_context=config.kube_context,
        chart_repository=config.chart_repository,
        definitions=kong_kinds,
        service_type=config.proxy_service_type,
        digitalocean=not config.kube_context,
        replicas=config.gateway.replicas,
        count_for=namespace.name if counting else None,
        domain=config.domain or None,
        plugins=mark_secret(
            policies.gateway_plugins(config.gateway, counting, https=bool(config.domain)), config.gateway
        ),
        password_places=policies.password_places(config.gateway, counting),
        environment=policies.gateway_environment(config.gateway, config.body_buffer_mib),
        metrics=config.gateway.metrics or config.gateway.monitoring is not None,
        egress=network.gateway_egress(
            config.gateway,
            config.workloads,
            config.namespace,
            namespaces.GATEWAY,
            solvers=bool(config.domain),
        ),
    ),
    opts=pulumi.ResourceOptions(provider=cluster.provider),
)

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
            manager_namespace=namespaces.CERTIFICATES,
            cluster=cluster.resource,
            chart_repository=config.cert_manager_chart_repository,
            found=record,
            gateway=gateway.ready,
            http_routes=has_canaries,
        ),
        opts=in_cluster,
    )
    if not record:
        pulumi.export("dns_record", pulumi.Output.concat(config.domain, ". A ", gateway.ip))

# Ingress has no weights.
gateway_api = None
if has_canaries:
    gateway_api = GatewayApi(
        "kong",
        GatewayApiArgs(namespace=namespaces.GATEWAY, definitions=gateway_api_kinds),
        opts=pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[gateway.release])),
    )

consumers: dict[str, Consumer] = {}
for entry in consumer_entries:
    consumer = entry.consumer
    consumers[entry.object_name] = Consumer(
        entry.object_name,
        ConsumerArgs(
            username=consumer.name if consumer else f"retired.{entry.object_name}",
            namespace=gateway.namespace.metadata.name,
            groups=consumer.groups if consumer else (),
            jwt=consumer.jwt_credential if consumer else None,
            api_key=consumer.plain_api_key if consumer else None,
            gateway=gateway.consumer_kind,
            after=[consumers[name].consumer for name in sorted(entry.after)],
        ),
        opts=in_cluster,
    )
if consumers:
    claims = {entry.object_name: consumer_identity.claims(entry.consumer) for entry in consumer_entries}
    pulumi.export("consumers", pulumi.Output.secret(claims))

# DigitalOcean's nodes are amd64; your own cluster's are what builds here.
platform = None if config.kube_context else "linux/amd64"
service_policies = network.service_policies(
    config.workloads, namespaces.GATEWAY, config.namespace, config.gateway.tracing
)

for service in config.workloads:
    running = {}
    traced = config.gateway.tracing if service.tracing else None
    for name, version in service.versions.items():
        built = ImageArgs(directory=version.build, registry=registry, platform=platform)
        image = Image(name, built) if version.build else ReadyImage(version.image)
        running[name] = VersionArgs(
            image=image.ref,
            image_content=image.content,
            replicas=version.replicas,
            health=service.probe_path(version),
            env={
                **mark_secret(policies.tracing_environment(traced, service.name), config.gateway),
                **mark_secret(service.environment(version, config.services), service),
            },
        )
    rules = policies.route_rules(service, config.gateway, counting, https=bool(config.domain))
    shared = gateway_api if len(service.traffic_weights) > 1 else None
    Service(
        service.name,
        ServiceArgs(
            namespace=namespace.closed_for(service.name, service_policies[service.name], gateway.closed),
            versions=running,
            shares=service.traffic_weights,
            pull_secret=namespace.pull_secret,
            path=service.path,
            port=service.port,
            requests=service.resources.requests.model_dump(),
            limits=service.resources.limits.model_dump(),
            # A route's plugin may have something of the gateway's in it.
            plugins=mark_secret(rules.plugins, service, config.gateway),
            password_places=policies.password_places(service, counting),
            route_plugins=rules.named,
            route_annotations=mark_secret(rules.route, service),
            upstream_annotations=rules.upstream,
            domain=config.domain or None,
            tls_secret=certificate.secret if certificate else None,
            awaited=certificate.awaited if certificate else True,
            parent=shared.parent if shared else None,
            gateway=gateway.ready,
            # Kong has to know the consumers that a route asks for before it asks.
            route_needs=[
                *([consumer.consumer for consumer in consumers.values()] if service.auth else []),
                *([shared.gateway] if shared else []),
                *([certificate] if shared and certificate else []),
            ],
        ),
        opts=in_cluster,
    )
    pulumi.export(f"{service.name}_url", pulumi.Output.concat(gateway.url, service.path))

if watched := config.gateway.monitoring:
    monitoring = Monitoring(
        "monitoring",
        MonitoringArgs(
            namespace=namespaces.MONITORING,
            cluster=cluster.resource,
            kube_context=config.kube_context,
            prometheus_charts=config.prometheus_chart_repository,
            grafana_charts=config.grafana_chart_repository if watched.grafana else None,
            retention=watched.retention,
            gateway_namespace=namespaces.GATEWAY,
            gateway=gateway.namespace,
            api_ports=gateway.api_ports,
            services_namespace=config.namespace,
            services=[service.name for service in config.workloads],
        ),
        opts=in_cluster,
    )
    for output, command in monitoring.commands.items():
        pulumi.export(output, command)

pulumi.export("proxy_ip", gateway.ip)
pulumi.export("proxy_url", gateway.url)
if gateway.command:
    pulumi.export("proxy_command", gateway.command)
pulumi.export("cluster_id", cluster.id)
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("registry", registry.endpoint)
pulumi.export("readme", Path("Pulumi.README.md").read_text())
