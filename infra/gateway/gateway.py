"""The API gateway: Kong with its ingress controller, without a database, from Kong's Helm chart."""

import ipaddress
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from infra.config import versions
from infra.gateway import rate_limit_store as counting
from infra.gateway.kong_resources import Plugin, gateway_plugin
from infra.gateway.rate_limit_store import Counters, CountersArgs
from infra.kubernetes import network_policy as network
from infra.kubernetes.crds import Definition, Definitions
from infra.kubernetes.namespace import default_deny, namespace_options, pod_security

LOCAL_PORT = 8080
"""Of this machine; leads to a gateway that has no load balancer while `Gateway.command` runs."""

_PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"

_API_PROXY_PORTS = (443, 16443)
"""Of cpc-bridge-proxy, which DigitalOcean runs on the nodes (Kubernetes limits page)."""
_ANNOTATION = "service.beta.kubernetes.io/do-loadbalancer-"
_LOAD_BALANCER = "kubernetes.digitalocean.com/load-balancer-id"
"""DigitalOcean's mark on a Service that has got its load balancer."""


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """Kong.

    Attributes:
        namespace: its own; created.
        cluster: the stack's own, with which the rest goes; None: one that was there before.
        kube_context: the kubeconfig's context that leads to the cluster, if the user has one for it.
        chart_repository: URL of a Helm repository with the chart `kong`.
        definitions: of Kong's kinds, as that chart has them.
        service_type: LoadBalancer, NodePort or ClusterIP; only the first has an address of its own.
        digitalocean: whether the load balancer is DigitalOcean's; it then tells Kong the clients' addresses.
        replicas: how many pods.
        count_for: the services' namespace, if the pods are to count together for its plugins.
        domain: by which clients find it, over HTTPS alone.
        plugins: Kong's plugins for every request, with their configuration.
        password_places: which of them count there, and where their configuration has the password.
        environment: settings of Kong's that those need.
        metrics: whether pods of the cluster may read its metrics.
        egress: where it may connect to, beside DNS and the API server.
    """

    namespace: str
    cluster: pulumi.CustomResource | None
    kube_context: str | None = None
    chart_repository: str
    service_type: str
    digitalocean: bool
    replicas: int = 1
    count_for: pulumi.Input[str] | None = None
    domain: str | None = None
    definitions: Sequence[Definition] = ()
    plugins: Mapping[str, pulumi.Input[Mapping[str, Any]]] = field(default_factory=dict)
    password_places: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: bool = False
    egress: Sequence[network.Outward] = ()


class Gateway(pulumi.ComponentResource):
    """Kong. Consumers need `consumer_kind`, plugins and routes `ready`; clients find the gateway at `ip` and `url`."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:gateway:Gateway", name, None, opts)
        self.namespace = kubernetes.core.v1.Namespace(
            name,
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=args.namespace, labels=pod_security(args.cluster)),
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), namespace_options(args.cluster)),
        )
        api = kubernetes.discovery.v1.EndpointSlice.get(
            "kubernetes",
            # Of a cluster that isn't there yet nothing can be looked up.
            args.cluster.id.apply(lambda _: "default/kubernetes") if args.cluster else "default/kubernetes",
            opts=pulumi.ResourceOptions(parent=self),
        )
        # DigitalOcean's nodes may pass it on by a proxy of their own, on one of the others.
        self.api_ports: Sequence[pulumi.Input[int]] = [
            api.ports[0].port,
            *(_API_PROXY_PORTS if args.digitalocean else ()),
        ]
        """Where the cluster's API servers are reached from pods."""
        policies = network.gateway_policy(
            metrics=args.metrics,
            api_ports=self.api_ports,
            outward=args.egress,
            counters=counting.LABELS if args.count_for is not None else None,
        )
        self.closed = closed = network.closed(
            self.namespace.metadata.name,
            {**default_deny(args.cluster), **policies},
            pulumi.ResourceOptions(parent=self, deleted_with=args.cluster),
        )
        self.release = kubernetes.helm.v3.Release(
            name,
            name="kong",
            namespace=closed,
            chart="kong",
            version=versions.KONG_CHART,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=args.chart_repository),
            values=values(args),
            # An install that failed half-way is removed; its name would be "still in use" for the next one.
            atomic=True,
            # Seconds; a load balancer takes minutes.
            timeout=600,
            # Never deleted_with the cluster, nor below a component that is, since the engine hands that down:
            # uninstalling waits until DigitalOcean has removed the load balancer, which would go on costing otherwise.
            opts=pulumi.ResourceOptions(parent=self),
        )
        counters: Sequence[pulumi.Resource] = []
        if args.count_for is not None:
            counters = Counters(
                "rate-limits",
                CountersArgs(namespace=closed, services=args.count_for),
                opts=pulumi.ResourceOptions(parent=self, deleted_with=args.cluster),
            ).ready
        # Beside the release, not before it: the first time Helm brings them as well, and sooner; later a new version's
        # pods take longer to come. After each of them the provider reads the cluster's OpenAPI schema again, so what
        # the release waits for goes first.
        definitions = Definitions(
            name,
            args.definitions,
            pulumi.ResourceOptions(
                parent=self, deleted_with=args.cluster, depends_on=closed.apply(lambda _: list[pulumi.Resource]())
            ),
        )

        def kind(plural: str) -> Sequence[pulumi.Resource]:
            """What an object of a kind needs: the controller, and that one definition, not all of them."""
            definition = definitions.objects.get(f"{plural}.configuration.konghq.com")
            return [self.release, *([definition] if definition else [])]

        self.consumer_kind = kind("kongconsumers")
        in_release = pulumi.ResourceOptions(
            parent=self,
            deleted_with=args.cluster,
            # On the way down they go while the controller is there. A limit whose counters aren't there yet is none.
            depends_on=[*kind("kongclusterplugins"), *counters],
        )
        plugins = [
            gateway_plugin(Plugin(name, config, args.password_places.get(name)), args.namespace, in_release)
            for name, config in args.plugins.items()
        ]
        self.ready: Sequence[pulumi.Resource] = [*kind("kongplugins"), *counters, *plugins]
        self.command: str | None = None
        """What has to run meanwhile for `ip` and `url` to lead to Kong, if anything has to."""
        if args.service_type == "LoadBalancer":
            proxy = kubernetes.core.v1.Service.get(
                "kong-proxy",
                # From the release's status, unknown until Kong is installed: a preview has nothing to look up.
                pulumi.Output.concat(self.release.status.namespace, "/kong-proxy"),
                opts=pulumi.ResourceOptions(parent=self),
            )
            balancer = _load_balancer(proxy) if args.digitalocean else None
            self.ip: pulumi.Output[str] = proxy.status.load_balancer.ingress.apply(lambda each: address(each, balancer))
            self.url = pulumi.Output.concat("http://", self.ip)
            if args.domain:
                self.url = pulumi.Output.from_input(f"https://{args.domain}")
        else:
            self.ip = pulumi.Output.from_input("127.0.0.1")
            self.url = pulumi.Output.from_input(f"http://127.0.0.1:{LOCAL_PORT}")
            context = f"--context {shlex.quote(args.kube_context)} " if args.kube_context else ""
            self.command = (
                f"kubectl {context}--namespace {args.namespace} port-forward service/kong-proxy {LOCAL_PORT}:80"
            )
        self.register_outputs({"ip": self.ip, "url": self.url})


def _proxy_protocol(args: GatewayArgs) -> dict[str, Any]:
    annotations = {
        # The default, REGIONAL_NETWORK, passes packets through to the Service's own ports, where Kong doesn't listen,
        # and has no PROXY protocol.
        f"{_ANNOTATION}type": "REGIONAL",
        f"{_ANNOTATION}enable-proxy-protocol": "true",
    }
    if args.domain:
        # From an address the cluster's nodes would take a short cut to Kong, without the PROXY protocol; and before it
        # has the ACME server look, cert-manager looks whether the domain leads to its answer.
        annotations[f"{_ANNOTATION}hostname"] = str(args.domain)
    return {
        "annotations": annotations,
        "http": {"parameters": ["proxy_protocol"]},
        "tls": {"parameters": ["http2", "proxy_protocol"]},
    }


def values(args: GatewayArgs) -> dict[str, Any]:
    """The chart's values: they render the same text every time, so an unchanged stack stays unchanged."""
    proxy_protocol = args.digitalocean and args.service_type == "LoadBalancer"
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        # Names everything "kong", and the Service "kong-proxy"; otherwise "kong-kong".
        "fullnameOverride": "kong",
        "image": {"repository": "kong", "tag": versions.KONG},
        "env": {
            "database": "off",
            "router_flavor": "traditional",
            "anonymous_reports": "off",
            "admin_gui_listen": "off",
            "nginx_worker_processes": "1",
            # The client's address comes from the load balancer, over the private network, and from nobody else.
            **({"real_ip_header": "proxy_protocol", "trusted_ips": _PRIVATE_NETWORKS} if proxy_protocol else {}),
            **args.environment,
        },
        # The admin API stays on the pod's loopback, for the controller beside it.
        "admin": {"enabled": False},
        "manager": {"enabled": False},
        "proxy": {"type": args.service_type, **(_proxy_protocol(args) if proxy_protocol else {})},
        **(_several(args.replicas) if args.replicas > 1 else {}),
        # Little is asked for, so that it fits beside DOKS's own pods (see Requests in infra/config/service.py).
        "resources": {"requests": {"cpu": "45m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "containerSecurityContext": restricted,
        "ingressController": {
            "image": {"repository": "kong/kubernetes-ingress-controller", "tag": versions.KONG_CONTROLLER},
            # The template that this switches on looks into the cluster.
            "installCRDs": False,
            # Its certificate would be new at every rendering.
            "admissionWebhook": {"enabled": False},
            # Fallback: what Kong refuses is left out, and everything else goes on being brought up to date.
            "env": {"anonymous_reports": "false", "feature_gates": "FallbackConfiguration=true"},
            "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "192Mi"}},
        },
    }


def _several(replicas: int) -> dict[str, Any]:
    """Pods on different nodes, if there are so many, of which no more than one is taken away on purpose."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "kong"}},
    }
    return {
        "replicaCount": replicas,
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "topologySpreadConstraints": [spread],
    }


def _load_balancer(proxy: kubernetes.core.v1.Service) -> Callable[[], pulumi.Output[str]]:
    """What asks DigitalOcean for the address of the Service's load balancer."""
    return lambda: digitalocean.get_load_balancer_output(id=proxy.metadata.annotations[_LOAD_BALANCER]).ip


def address(
    ingress: Sequence[kubernetes.core.v1.outputs.LoadBalancerIngress],
    by_name: Callable[[], pulumi.Input[str]] | None = None,
) -> pulumi.Input[str]:
    """The first IPv4 address of a load balancer, which may list an IPv6 one too.

    Args:
        ingress: how the cluster knows it; after a change of that it is the way of before for some seconds.
        by_name: asks for the address of one that the cluster knows by its name alone.

    Raises:
        pulumi.RunError: it has only a name, as some local clusters' load balancers do, and nobody can be asked.
    """
    for entry in ingress:
        if entry.ip and isinstance(ipaddress.ip_address(entry.ip), ipaddress.IPv4Address):
            return entry.ip
    if by_name:
        return by_name()
    raise pulumi.RunError(
        f"{pulumi.get_project()}:proxyServiceType: this cluster's load balancers have no IPv4 address; "
        "allowed here: NodePort, ClusterIP; fix: pulumi config set proxyServiceType ClusterIP"
    )
