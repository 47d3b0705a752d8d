"""Checks between the cluster, its node pools, the registry and what runs in them."""

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from infra.config import namespaces
from infra.config.cluster import ClusterSettings
from infra.config.errors import ConfigError
from infra.config.node_pools import DEFAULT_POOL
from infra.config.settings import Settings

BASIC_REPOSITORIES = 5
"""Repositories that DigitalOcean's registry holds in tier `basic` (registry pricing page)."""


def check_namespace(settings: Settings) -> Iterator[ConfigError]:
    if settings.namespace in namespaces.RESERVED or settings.namespace.startswith("kube-"):
        allowed = f"any namespace except {', '.join(namespaces.RESERVED)} and kube-*"
        yield ConfigError("namespace", settings.namespace, allowed, "write namespace: default")


def check_cluster_and_registry(settings: Settings) -> Iterator[ConfigError]:
    registry = settings.registry
    if not settings.creates_cluster:
        for name, field in ClusterSettings.model_fields.items():
            if name != "kube_context" and (value := getattr(settings, name)) != field.default:
                key = to_camel(name)
                yield ConfigError(key, value, "unset with kubeContext, an existing cluster", f"remove {key}")
        if registry.kind == "digitalocean":
            allowed = "other or none with kubeContext"
            yield ConfigError("registry.kind", "digitalocean", allowed, "write registry: {kind: none}")
    elif registry.kind == "none" and settings.built_image_count:
        allowed = "digitalocean or other, since nodes pull images"
        yield ConfigError("registry.kind", "none", allowed, "write kind: digitalocean")
    if registry.tier == "basic" and settings.built_image_count > BASIC_REPOSITORIES:
        allowed = f"at most {BASIC_REPOSITORIES} images to build"
        yield ConfigError("registry.tier", "basic", allowed, "write tier: professional")


def check_node_pools(settings: Settings) -> Iterator[ConfigError]:
    if settings.node_autoscale and settings.node_count != ClusterSettings.model_fields["node_count"].default:
        fix = "pulumi config rm nodeCount"
        yield ConfigError("nodeCount", settings.node_count, "unset with nodeAutoscale", fix)
    if settings.node_autoscale and settings.node_autoscale.min < 1:
        allowed = "at least 1, since DigitalOcean's own pods need a node"
        yield ConfigError("nodeAutoscale.min", settings.node_autoscale.min, allowed, "write min: 1")
    if DEFAULT_POOL in settings.node_pools:
        allowed = "any other name; nodeSize, nodeCount and nodeAutoscale are the default pool's"
        yield ConfigError(f"nodePools.{DEFAULT_POOL}", None, allowed, "give it another name")
    for path, workload in settings.workloads_by_path.items():
        if workload.pool and workload.pool not in settings.node_pools:
            allowed = f"a key of nodePools, which are {', '.join(settings.node_pools) or 'none'}"
            fix = f"add nodePools: {{{workload.pool}: {{size: s-2vcpu-4gb, count: 1}}}}, or remove pool"
            if not settings.creates_cluster:
                allowed, fix = "unset with kubeContext, an existing cluster", "remove pool"
            yield ConfigError(f"{path}.pool", workload.pool, allowed, fix)


def check_metrics_server(settings: Settings) -> Iterator[ConfigError]:
    """Requires an explicit metricsServer for an existing cluster: autoscalers need exactly one."""
    if settings.has_autoscale and settings.metrics_server == "auto" and not settings.creates_cluster:
        allowed = "install, or existing if the cluster has one, with kubeContext and autoscale"
        yield ConfigError("metricsServer", "auto", allowed, "pulumi config set metricsServer existing")
