"""The section `gateway`: policies for all routes, replicas, logs, metrics, monitoring, tracing, the page."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.network import Egress
from infra.config.page import Page
from infra.config.pod_resources import KONG, KONG_CONTROLLER, KONG_CONTROLLER_LIMITS, KONG_LIMITS, total
from infra.config.policies import ACCESS_CONTROL_PLUGINS, HEADERS_OF_KONG, Policies, written_by_kong
from infra.config.scaling import PodAutoscale, replicas_errors
from infra.config.types import Model, Url, read_switch

MAX_REPLICAS = 20
DEFAULT_CPU_TARGET = 500
"""Percent of what Kong's pod requests, which is so small that it fits on the smallest node: a quarter of a CPU."""


class Monitoring(Model):
    """Prometheus with the gateway's metrics, and Grafana with a dashboard of them."""

    retention: str = Field(
        "7d",
        pattern=r"^[1-9][0-9]{0,3}[hdw]$",
        description="hours, days or weeks, such as 12h, 7d or 2w",
        examples=["7d"],
    )
    grafana: bool = Field(True, description="true or false", examples=[True])


MonitoringSwitch = Annotated[
    Monitoring | None, BeforeValidator(read_switch, json_schema_input_type=bool | Monitoring | None)
]


PageSwitch = Annotated[Page | None, BeforeValidator(read_switch, json_schema_input_type=bool | Page | None)]


class HttpLog(Model):
    """The URL that Kong posts a record of every request to."""

    url: Url = Field(description="a URL of a name or an IPv4 address", examples=["http://logs.tools:9000/kong"])


class Tracing(Model):
    """An OpenTelemetry collector."""

    url: Url = Field(
        description="a URL of a name or an IPv4 address", examples=["http://otel-collector:4318/v1/traces"]
    )
    sampling: float = Field(1.0, ge=0, le=1, description="the share of requests, 0 to 1", examples=[0.1])


# Redeclare a field of `Policies` here to give it a default for all routes.
class GatewayPolicies(Policies):
    """Policies for all routes, and what only the gateway as a whole has."""

    replicas: int = Field(1, ge=1, le=MAX_REPLICAS, description=f"1 to {MAX_REPLICAS} pods of Kong", examples=[2])
    autoscale: PodAutoscale | None = Field(
        None, description=f"min, max (up to {MAX_REPLICAS}), cpu, memory", examples=[{"min": 2, "max": 5}]
    )
    priority: bool | None = Field(
        None, description="true or false (default true where anything has autoscale)", examples=[True]
    )
    request_id: bool = Field(False, description="true or false", examples=[True])
    access_log: bool = Field(False, description="true or false", examples=[True])
    http_log: HttpLog | None = Field(None, description="url", examples=[{"url": "http://logs.tools:9000/kong"}])
    metrics: bool = Field(False, description="true or false", examples=[True])
    monitoring: MonitoringSwitch = Field(
        None, description="true, false, or retention, grafana", examples=[{"retention": "7d"}]
    )
    header_limit: int = Field(16, ge=8, le=64, description="8 to 64 KiB", examples=[16])
    tracing: Tracing | None = Field(None, description="url, sampling", examples=[{"url": "http://otel:4318/v1/traces"}])
    egress: Egress = Field(Egress(), description="internet, namespaces, networks", examples=[{"namespaces": ["redis"]}])

    page: PageSwitch = Field(
        None, description="true, false, or what a service can have", examples=[{"auth": "key-auth"}]
    )

    @property
    def min_replicas(self) -> int:
        return self.autoscale.min if self.autoscale else self.replicas

    @property
    def max_replicas(self) -> int:
        return self.autoscale.max if self.autoscale else self.replicas

    @property
    def has_metrics(self) -> bool:
        """True if Kong measures its requests."""
        return self.metrics or self.monitoring is not None

    @property
    def removed_headers_of_kong(self) -> frozenset[str]:
        """Lower-case names of Kong's own headers that responses don't get."""
        removed = self.response_headers.remove if self.response_headers else []
        return frozenset(name.lower() for name in removed) & {name.lower() for name in HEADERS_OF_KONG}

    def mark_secret(self) -> None:
        super().mark_secret()
        if self.page:
            self.page.mark_secret()

    @model_validator(mode="after")
    def _validate_pods(self) -> Self:
        raise_if_any(self._pod_errors())
        return self

    def _pod_errors(self) -> Iterator[ConfigError]:
        if not self.autoscale:
            return
        yield from replicas_errors(self)
        requests, limits = total(KONG, KONG_CONTROLLER), total(KONG_LIMITS, KONG_CONTROLLER_LIMITS)
        yield from self.autoscale.target_errors(requests, limits, DEFAULT_CPU_TARGET)
        if self.autoscale.max > MAX_REPLICAS:
            allowed = f"2 to {MAX_REPLICAS} pods of Kong"
            yield ConfigError("autoscale.max", self.autoscale.max, allowed, f"write max: {MAX_REPLICAS}")

    @model_validator(mode="after")
    def _reject_changes_of_kong_headers(self) -> Self:
        raise_if_any(
            ConfigError(
                key,
                name,
                "remove only: Kong writes this header after all plugins",
                f"remove {name}, or write it under remove",
            )
            for key, name in written_by_kong(self.response_headers)
            if ".remove" not in key
        )
        return self

    @model_validator(mode="after")
    def _reject_access_control_plugins(self) -> Self:
        """The controller leaves out a plugin that Kong refuses: without a global one, all routes would be open."""
        raise_if_any(
            ConfigError(
                f"plugins.{name}",
                None,
                "only on services: if Kong refused its configuration here, all of them would be open",
                "write allowIps or denyIps" if name == "ip-restriction" else f"move {name} to the services",
            )
            for name in ACCESS_CONTROL_PLUGINS
            if name in self.plugins
        )
        return self
