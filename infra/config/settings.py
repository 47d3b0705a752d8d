"""The configuration of a stack: every key of the stack file, with its type and default."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from infra.config import versions
from infra.config.aggregate import Aggregate
from infra.config.bundled_app import AnyWorkload
from infra.config.cluster import ClusterSettings
from infra.config.consumer import Consumer
from infra.config.gateway import GatewayPolicies
from infra.config.registry import Registry
from infra.config.service import Service
from infra.config.tls import Acme, Tls
from infra.config.types import DOMAIN, ChartRepository, Namespace


class Settings(ClusterSettings):
    """Every key of a stack file; Pulumi.yaml describes them. `infra.config.load` makes a checked one."""

    namespace: Namespace = Field("default", examples=["default"])
    registry: Registry = Field(Registry(), description="a registry", examples=['{"kind": "none"}'])
    services: list[Service] = Field(
        [], description="a list of services", examples=["[{name: foo, path: /foo, build: apps/foo}]"]
    )
    aggregates: list[Aggregate] = Field(
        [],
        description="a list of routes over several services",
        examples=["[{name: overview, path: /overview, backends: {foo: /foo, bar: /bar}}]"],
    )
    gateway: GatewayPolicies = Field(
        GatewayPolicies(), description="policies for all services", examples=["{requestId: true}"]
    )
    consumers: list[Consumer] = Field(
        [],
        description="a list of consumers",
        examples=["[{name: alice, jwt: {algorithm: RS256, publicKey: ...}}]"],
    )
    domain: str = Field(
        "",
        pattern=rf"^({DOMAIN})?$",
        max_length=253,
        description="a domain in lower case, without a wildcard or a dot at its end; others than ASCII as xn--...",
        examples=["api.example.com"],
    )
    email: str = Field(
        "",
        pattern=rf"^([A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{DOMAIN})?$",
        description="an e-mail address in ASCII, with its domain in lower case",
        examples=["ops@example.com"],
    )
    acme: Acme = Field(Acme(), description="server, ca, profile", examples=["{server: production}"])
    chart_repository: ChartRepository = "https://charts.konghq.com"
    prometheus_chart_repository: ChartRepository = "https://prometheus-community.github.io/helm-charts"
    grafana_chart_repository: ChartRepository = "https://grafana-community.github.io/helm-charts"
    cert_manager_chart_repository: ChartRepository = "https://charts.jetstack.io"
    metrics_server: Literal["auto", "install", "existing"] = Field(
        "auto", description="auto (where anything has autoscale), install or existing", examples=["existing"]
    )
    metrics_server_chart_repository: ChartRepository = "https://kubernetes-sigs.github.io/metrics-server"
    gateway_api_releases: str = Field(
        "https://github.com/kubernetes-sigs/gateway-api/releases/download",
        pattern=r"^(https?://\S+)?$",
        description='the URL of the releases, or "" where the cluster has the Gateway API',
        examples=['""'],
    )
    proxy_service_type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = Field(
        "LoadBalancer", description="LoadBalancer, NodePort or ClusterIP", examples=["LoadBalancer"]
    )

    @property
    def kong_chart_sha256(self) -> str | None:
        """SHA-256 of the chart in Kong's own repository; None for another repository, which may repack it."""
        own = self.chart_repository == type(self).model_fields["chart_repository"].default
        return versions.KONG_CHART_SHA256[versions.KONG_CHART] if own else None

    @property
    def workloads(self) -> Sequence[AnyWorkload]:
        """Services, aggregates and the page: everything that has a route."""
        return list(self.workloads_by_path.values())

    @property
    def workloads_by_path(self) -> Mapping[str, AnyWorkload]:
        """The workloads by their path in the configuration, such as `services[0]`."""
        lists: Sequence[Sequence[Service | Aggregate]] = (self.services, self.aggregates)
        listed = {f"{entry.key}[{index}]": entry for entries in lists for index, entry in enumerate(entries)}
        return listed | ({"gateway.page": self.gateway.page} if self.gateway.page else {})

    @property
    def tls(self) -> Tls | None:
        """The domain and its certificate; None: the gateway answers over HTTP at its address."""
        if not self.domain:
            return None
        return Tls(
            domain=self.domain,
            email=self.email,
            acme=self.acme,
            chart_repository=self.cert_manager_chart_repository,
            has_http_routes=self.has_weighted_routes,
        )

    @property
    def built_image_count(self) -> int:
        """Number of images that the stack builds."""
        return sum(bool(version.build) for workload in self.workloads for version in workload.versions.values())

    @property
    def uses_digitalocean_registry(self) -> bool:
        """True if images go to DigitalOcean's registry; a stack that builds nothing needs none of its own."""
        return self.registry.kind == "digitalocean" and (self.registry.existing or bool(self.built_image_count))

    @property
    def creates_registry(self) -> bool:
        """True if the stack creates DigitalOcean's registry instead of using an existing one."""
        return self.uses_digitalocean_registry and not self.registry.existing

    @property
    def has_weighted_routes(self) -> bool:
        """True if any route divides its requests among versions by weight."""
        return any(len(workload.traffic_weights) > 1 for workload in self.workloads)

    @property
    def has_grafana(self) -> bool:
        return self.gateway.monitoring is not None and self.gateway.monitoring.grafana

    @property
    def has_autoscale(self) -> bool:
        """True if an autoscaler sets the number of any pods."""
        versions = [version for workload in self.workloads for version in workload.versions.values()]
        return self.gateway.autoscale is not None or any(version.autoscale for version in versions)

    @property
    def installs_metrics_server(self) -> bool:
        """True if the stack installs metrics-server, which autoscalers read; DOKS doesn't bring one."""
        return self.metrics_server == "install" or (self.metrics_server == "auto" and self.has_autoscale)

    @property
    def gateway_has_priority(self) -> bool:
        """True if Kong's pods have a PriorityClass above services' pods."""
        return self.has_autoscale if self.gateway.priority is None else self.gateway.priority

    @property
    def needs_rate_limit_store(self) -> bool:
        """True if several replicas of Kong have to share the counters of a rate limit."""
        return self.gateway.max_replicas > 1 and any(policy.rate_limit for policy in (self.gateway, *self.workloads))

    @property
    def body_buffer_mib(self) -> int | None:
        """Size up to which Kong has to hold a request's body in memory; None: Kong's default of 8 KiB is enough."""
        limits = [self.body_limit(workload) or 0 for workload in self.workloads if self.transforms_body(workload)]
        return max(limits, default=None)

    def transforms_body(self, workload: AnyWorkload) -> bool:
        """True if Kong changes the body of requests to a workload."""
        return workload.transforms_body or self.gateway.transforms_body

    def body_limit(self, workload: AnyWorkload) -> int | None:
        """Returns the limit in MiB for requests to a workload: its own or the gateway's."""
        return workload.body_limit or self.gateway.body_limit
