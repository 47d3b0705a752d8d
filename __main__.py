"""The whole stack: microservices behind an API gateway, on a Kubernetes cluster.

What is created after what:

    registry -> images ----------------+
    cluster -> namespace of services --+-> services -------------------------+
                                                                             +-> routes
    cluster -> gateway -> plugins, consumers, certificate, Gateway API ------+
    cluster -> gateway -> monitoring
    cluster -> metrics-server
"""

# ruff: noqa: E402 -- garbage collection has to be disabled before the imports

import gc

# The imports create most objects of a run, which live until its end. Garbage collection would only slow the start-up.
# It stays disabled: the process ends with the program.
gc.disable()

from infra import outputs
from infra.cluster.provision import provision_cluster
from infra.gateway.certificate import Certificate
from infra.gateway.consumers import provision_consumers
from infra.gateway.gateway import Gateway
from infra.gateway.gateway_api import GatewayApi
from infra.images.image import provision_images
from infra.images.registry import provision_registry
from infra.interrupts import hide_interrupts
from infra.loader import load_account, load_config
from infra.lookups import look_up
from infra.metrics.metrics_server import MetricsServer
from infra.monitoring.monitoring import Monitoring
from infra.services.namespace import ServicesNamespace
from infra.services.route import RouteDependencies
from infra.services.service import Service
from infra.stack_traces import short_stack_traces

hide_interrupts()
config, account = load_config(), load_account()  # typed and checked: an error ends the program
lookups = look_up(config, account)  # read-only: an answer may end the program before the first resource

# The first argument of a component is its logical name in the state. Changing it replaces the resources.
# Runs concurrently: images are built and pushed while DigitalOcean creates the nodes.
cluster = provision_cluster(config, account, lookups)
registry = provision_registry(config, lookups)

# `namespace.name` resolves once the NetworkPolicies exist: nothing in the namespace is created before them.
namespace = ServicesNamespace("services", config, cluster=cluster, pull_credentials=registry.pull_credentials)

gateway = Gateway("kong", config, cluster=cluster, services_namespace=namespace.name, crds=lookups.kong_crds)

certificate = None
if config.tls:
    certificate = Certificate(
        "certificate", config.tls, cluster=cluster, gateway=gateway, namespace=namespace.name, dns_zone=lookups.dns_zone
    )

gateway_api = None
if config.has_weighted_routes:  # an Ingress has no weights
    gateway_api = GatewayApi("kong", gateway, crds=lookups.gateway_api_crds, cluster=cluster)

consumers = provision_consumers(lookups.consumers_in_update_order, gateway, cluster.deleted_with_cluster_options)

with short_stack_traces():  # long ones would be a fifth of a service's state
    services = [
        Service(
            service,
            config,
            images=provision_images(service, registry, cluster.platform),
            namespace=namespace,
            pool=cluster.pools.get(service.pool or ""),
            route_dependencies=RouteDependencies(gateway, gateway_api, certificate, consumers),
            opts=cluster.deleted_with_cluster_options,
        )
        for service in config.workloads
    ]

if config.installs_metrics_server:
    MetricsServer("metrics-server", config, cluster=cluster)

monitoring = None
if config.gateway.monitoring:
    monitoring = Monitoring(
        "monitoring", config, cluster=cluster, gateway=gateway, retention=config.gateway.monitoring.retention
    )

outputs.export(
    config,
    cluster=cluster,
    registry=registry,
    gateway=gateway,
    certificate=certificate,
    consumers=consumers,
    services=services,
    monitoring=monitoring,
)
