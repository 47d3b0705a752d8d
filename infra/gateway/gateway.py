"""The API gateway: Kong with its ingress controller, without a database, from Kong's Helm chart."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from infra.cluster.cluster import Cluster
from infra.config import load_balancer, namespaces, versions
from infra.config.kong_plugins import gateway_plugins
from infra.config.plugin_configs import Context
from infra.config.settings import Settings
from infra.gateway import rate_limit_store
from infra.gateway.helm_values import kong_values
from infra.gateway.kong_resources import gateway_plugin
from infra.gateway.network_policies import gateway_policies
from infra.gateway.rate_limit_store import RateLimitStore
from infra.kubernetes import helm
from infra.kubernetes.crds import CustomResourceDefinitions
from infra.kubernetes.namespace import default_deny, isolate_namespace, namespace_options
from infra.kubernetes.ordering import delay_until
from infra.kubernetes.pod_security import namespace_labels

LOCAL_PORT = 8080
"""Port of the user's machine that `Gateway.command` forwards to a gateway without a load balancer."""
_API_PROXY_PORTS = (443, 16443)
"""Ports of cpc-bridge-proxy, which DigitalOcean runs on the nodes (Kubernetes limits page)."""
_PRIORITY = 1_000_000
"""Services have 0; Kubernetes' own pods have two billion."""


class Gateway(pulumi.ComponentResource):
    """Kong and its controller.

    Attributes:
        context: facts about this gateway on which the configuration of routes' plugins depends.
        namespace: Kong's namespace, which the stack creates.
        isolated_namespace: the namespace's name, resolved once its NetworkPolicies exist.
        release: Kong's Helm release.
        api_ports: ports at which pods reach the cluster's API servers.
        crds_wait_for: outputs that Kong's CRDs wait for without a `dependsOn`. Each `Service` appends its namespace
            output.
        consumer_dependencies: resources that consumers depend on.
        route_plugin_dependencies: resources that the plugins of routes depend on.
        plugins: the plugins for every request, at least one. Routes depend on them, and they depend on the release.
        ip: address at which clients reach Kong.
        url: the gateway's URL.
        command: the command that has to run while `ip` and `url` are used; None: no command is needed.
    """

    def __init__(
        self,
        name: str,
        config: Settings,
        *,
        cluster: Cluster,
        services_namespace: pulumi.Input[str],
        crds: Sequence[Mapping[str, Any]],
    ) -> None:
        super().__init__("kong-doks:gateway:Gateway", name, None, cluster.provider_options)
        self._child = pulumi.ResourceOptions(parent=self)
        self._with_cluster = pulumi.ResourceOptions(parent=self, deleted_with=cluster.resource)
        store_host = rate_limit_store.host(namespaces.GATEWAY) if config.needs_rate_limit_store else None
        self.context = Context(rate_limit_store=store_host, https=config.tls is not None)
        self.namespace = self._create_namespace(name, cluster)
        self.api_ports = _api_ports(cluster, self._child)
        policies = {**default_deny(cluster.resource), **gateway_policies(config, self.api_ports)}
        priority_class = _priority_class(self._with_cluster) if config.gateway_has_priority else None
        self.isolated_namespace = isolate_namespace(self.namespace.metadata.name, policies, self._with_cluster)
        self.release = self._install_kong(name, config, priority_class)
        store = self._create_store(config, services_namespace, priority_class)
        self.crds_wait_for: list[pulumi.Output[str]] = []
        definitions = self._create_definitions(name, crds)

        def of_kind(plural: str) -> Sequence[pulumi.Resource]:
            """Returns the dependencies of objects of a kind: the release with the controller, and the CRD."""
            definition = definitions.objects.get(f"{plural}.configuration.konghq.com")
            return [self.release, *([definition] if definition else [])]

        self.consumer_dependencies = of_kind("kongconsumers")
        # On `destroy` Pulumi deletes plugins while the controller runs. Without its store a rate limit has no effect.
        after_store = pulumi.ResourceOptions.merge(
            self._with_cluster, pulumi.ResourceOptions(depends_on=[*of_kind("kongclusterplugins"), *store])
        )
        self.plugins = [gateway_plugin(plugin, after_store) for plugin in gateway_plugins(config.gateway, self.context)]
        self.route_plugin_dependencies: Sequence[pulumi.Resource] = [*of_kind("kongplugins"), *store, *self.plugins]
        self.ip, self.url, self.command = self._address(config, cluster)
        self.register_outputs({"ip": self.ip, "url": self.url})

    def _create_namespace(self, name: str, cluster: Cluster) -> kubernetes.core.v1.Namespace:
        return kubernetes.core.v1.Namespace(
            name,
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=namespaces.GATEWAY, labels=namespace_labels(cluster.resource)
            ),
            opts=pulumi.ResourceOptions.merge(self._child, namespace_options(cluster.resource)),
        )

    def _install_kong(
        self, name: str, config: Settings, priority_class: pulumi.Input[str] | None
    ) -> kubernetes.helm.v3.Release:
        return helm.release(
            name,
            version=versions.KONG_CHART,
            repository=config.chart_repository,
            namespace=self.isolated_namespace,
            values=kong_values(config, priority_class),
            # The release must have no `deleted_with`, nor inherit one from a component: `destroy` would skip the
            # uninstall. The uninstall waits until DigitalOcean has removed the load balancer, which would stay billed
            # otherwise.
            opts=self._child,
        )

    def _create_store(
        self, config: Settings, services_namespace: pulumi.Input[str], priority_class: pulumi.Input[str] | None
    ) -> Sequence[pulumi.Resource]:
        """Creates the rate-limit store if there has to be one, and returns the resources that plugins depend on."""
        if not config.needs_rate_limit_store:
            return []
        return RateLimitStore(
            "rate-limits",
            namespace=self.isolated_namespace,
            services_namespace=services_namespace,
            priority_class=priority_class,
            scales_nodes=config.scales_nodes,
            opts=self._with_cluster,
        ).ready

    def _create_definitions(self, name: str, crds: Sequence[Mapping[str, Any]]) -> CustomResourceDefinitions:
        """Creates Kong's CRDs as the last objects, while the release and the services' pods start.

        After each CRD the provider reads the cluster's OpenAPI schema again, and all other objects wait for that. The
        release doesn't wait for the CRDs: at the first install, Helm creates them itself and earlier. At an upgrade,
        waiting would delay the new pods.
        """
        last = pulumi.ResourceOptions(depends_on=delay_until(self.isolated_namespace, self.crds_wait_for))
        return CustomResourceDefinitions(name, crds, pulumi.ResourceOptions.merge(self._with_cluster, last))

    def _address(self, config: Settings, cluster: Cluster) -> tuple[pulumi.Output[str], pulumi.Output[str], str | None]:
        """Returns the address at which clients reach Kong, its URL, and the command that has to run meanwhile."""
        if config.proxy_service_type != "LoadBalancer":
            command = f"{cluster.kubectl(namespaces.GATEWAY)} port-forward service/kong-proxy {LOCAL_PORT}:80"
            ip, url = "127.0.0.1", f"http://127.0.0.1:{LOCAL_PORT}"
            return pulumi.Output.from_input(ip), pulumi.Output.from_input(url), command
        proxy = kubernetes.core.v1.Service.get(
            "kong-proxy",
            # From the release's status, unknown until Kong is installed: a preview has nothing to look up.
            pulumi.Output.concat(self.release.status.namespace, "/kong-proxy"),
            opts=self._child,
        )
        lookup = _address_lookup(proxy) if config.creates_cluster else None
        address: pulumi.Output[str] = proxy.status.load_balancer.ingress.apply(
            lambda ingress: ipv4_address(ingress, lookup)
        )
        if config.tls:
            return address, pulumi.Output.from_input(config.tls.url), None
        return address, pulumi.Output.concat("http://", address), None


def _priority_class(opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Creates the class of pods that get a node first, and evict services' pods where there is no room."""
    # It belongs to the whole cluster, which may have one of another stack.
    name = f"{pulumi.get_project()}-{pulumi.get_stack()}-gateway"
    return kubernetes.scheduling.v1.PriorityClass(
        "gateway",
        metadata=kubernetes.meta.v1.ObjectMetaArgs(name=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")),
        value=_PRIORITY,
        description="The API gateway: before services, which have no priority.",
        opts=opts,
    ).metadata.name


def _api_ports(cluster: Cluster, opts: pulumi.ResourceOptions) -> Sequence[pulumi.Input[int]]:
    endpoints = kubernetes.discovery.v1.EndpointSlice.get(
        "kubernetes",
        # The look-up has to wait for the cluster.
        cluster.id.apply(lambda _: "default/kubernetes") if cluster.id else "default/kubernetes",
        opts=opts,
    )
    # DOKS's cpc-bridge-proxy may forward the connection from one of `_API_PROXY_PORTS`.
    return [endpoints.ports[0].port, *(_API_PROXY_PORTS if cluster.resource else ())]


def _address_lookup(proxy: kubernetes.core.v1.Service) -> Callable[[], pulumi.Output[str]]:
    """Returns a function that looks up the address of the Service's load balancer at DigitalOcean."""
    return lambda: digitalocean.get_load_balancer_output(id=proxy.metadata.annotations[load_balancer.ID_ANNOTATION]).ip


def ipv4_address(
    ingress: Sequence[kubernetes.core.v1.outputs.LoadBalancerIngress],
    lookup: Callable[[], pulumi.Input[str]] | None = None,
) -> pulumi.Input[str]:
    """Returns the first IPv4 address of a load balancer, which may list an IPv6 one as well.

    Args:
        ingress: the Service's status; after a change it is outdated for some seconds.
        lookup: asks DigitalOcean for the address, for a load balancer whose status has only a name.

    Raises:
        pulumi.RunError: the status has only a name, as some local clusters' have, and there is no look-up.
    """
    for entry in ingress:
        if entry.ip and isinstance(ipaddress.ip_address(entry.ip), ipaddress.IPv4Address):
            return entry.ip
    if lookup:
        return lookup()
    raise pulumi.RunError(
        f"{pulumi.get_project()}:proxyServiceType: this cluster's load balancers have no IPv4 address; "
        "allowed here: NodePort, ClusterIP; fix: pulumi config set proxyServiceType ClusterIP"
    )
