"""Pods behind a route: what services, aggregates and the page have in common."""

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.network import Ingress, ServiceEgress
from infra.config.node_pools import PoolName
from infra.config.pod_resources import total
from infra.config.policies import RoutePolicies
from infra.config.policy_models import Timeouts
from infra.config.scaling import PodAutoscale, replicas_errors
from infra.config.service_version import ResolvedVersion
from infra.config.types import MIN_MEMORY, Cpu, Memory, Model, ServiceName, UrlPath, quantity

CONNECT_SECONDS = 2.0
"""Default of timeouts.connect with several pods: enough for a lost packet to be sent again."""
PRE_STOP, PRE_STOP_OF_SEVERAL = 5, 10
"""Defaults of preStop: the controller's interval and more; with several pods, what a drained node takes.

A drain may end a pod of Kong with the service's. Its controller ends at once, so this Kong gets no update. It sends
requests to the service's pod until the load balancer takes the node out, after two checks in 3 seconds each.
"""
DEFAULT_CPU_TARGET = 80
"""Percent of requests.cpu: Kubernetes' own default of an autoscaler."""


# The defaults of requests fit the tutorial's node beside DOKS's own pods (see capacity.py), those of limits are what a
# busy container needs.
class Requests(Model):
    cpu: Cpu = "15m"
    memory: Memory = "24Mi"


class Limits(Model):
    cpu: Cpu = "500m"
    memory: Memory = "128Mi"


class Resources(Model):
    requests: Requests = Field(Requests(), description="cpu, memory", examples=[{"memory": "24Mi"}])
    limits: Limits = Field(Limits(), description="cpu, memory", examples=[{"memory": "128Mi"}])

    @model_validator(mode="after")
    def _requests_fit_limits(self) -> Self:
        if quantity(self.limits.memory) < quantity(MIN_MEMORY):
            allowed = f"at least {MIN_MEMORY}, without which no container starts"
            raise_if_any([ConfigError("limits.memory", self.limits.memory, allowed, "write for example 128Mi")])
        raise_if_any(
            ConfigError(
                f"requests.{kind}", request, f"at most limits.{kind}, which is {limit}", f"set limits.{kind}: {request}"
            )
            for kind in ("cpu", "memory")
            if quantity(request := getattr(self.requests, kind)) > quantity(limit := getattr(self.limits, kind))
        )
        return self


class Workload(RoutePolicies):
    """Pods behind a route, and the route's policies: what services, aggregates and the page have in common."""

    is_exact: ClassVar[bool] = False
    """True if the route has no paths below its own."""

    name: ServiceName
    path: UrlPath
    replicas: int = Field(1, ge=1, le=100, description="1 to 100 (to stop a service, remove its entry)", examples=[1])
    autoscale: PodAutoscale | None = Field(None, description="min, max, cpu, memory", examples=[{"min": 2, "max": 5}])
    startup_seconds: int | None = Field(
        None, ge=5, le=3600, description="5 to 3600 seconds that a container may take to start", examples=[60]
    )
    grace_period: int = Field(
        30, ge=1, le=3600, description="1 to 3600 seconds that a pod has to end, preStop included", examples=[30]
    )
    pre_stop: int | None = Field(
        None,
        ge=0,
        le=600,
        description=f"0 to 600 seconds that a pod serves on before SIGTERM (default {PRE_STOP}, with several pods "
        f"{PRE_STOP_OF_SEVERAL})",
        examples=[5],
    )
    active_checks: bool = Field(True, description="true or false", examples=[False])
    resources: Resources = Field(
        Resources(), description="requests, limits", examples=[{"limits": {"memory": "128Mi"}}]
    )
    pool: PoolName | None = Field(None, description="a key of nodePools", examples=["batch"])
    tracing: bool = Field(True, description="true or false", examples=[False])
    ingress: Ingress = Field(Ingress(), description="namespaces", examples=[{"namespaces": ["monitoring"]}])
    egress: ServiceEgress = Field(
        ServiceEgress(), description="internet, services, namespaces, networks", examples=[{"services": ["bar"]}]
    )

    @property
    def kong_timeouts(self) -> Timeouts:
        """The timeouts; with several pods, Kong soon tries another one: a pod of a lost node refuses no connection."""
        timeouts = super().kong_timeouts
        if not self.has_several_pods or timeouts.connect is not None:
            return timeouts
        return timeouts.model_copy(update={"connect": CONNECT_SECONDS})

    @property
    def pre_stop_seconds(self) -> int:
        """Seconds that a pod serves on before SIGTERM. Where gracePeriod is too short, the shorter default applies."""
        if self.pre_stop is not None:
            return self.pre_stop
        is_long = self.has_several_pods and self.grace_period > PRE_STOP_OF_SEVERAL
        return PRE_STOP_OF_SEVERAL if is_long else PRE_STOP

    @property
    def has_several_pods(self) -> bool:
        return (self.autoscale.max if self.autoscale else self.replicas) > 1

    def calls(self, _names: Collection[str]) -> Collection[str]:
        """Returns the names of the workloads that its pods may connect to; `_names` are all of the stack's."""
        return self.egress.services

    @property
    def traffic_weights(self) -> Mapping[str, int]:
        """Percentage of requests for each version; a canary is listed even at 0."""
        return {self.name: 100}

    @property
    def host(self) -> str:
        """Host name in the namespace: of the live version; with a canary, of the stable one."""
        return f"{next(iter(self.traffic_weights))}-service"

    def resolved(self, build: str, image: str, env: Mapping[str, str]) -> ResolvedVersion:
        """Returns a version that runs as many pods as the service says."""
        replicas = self.autoscale.min if self.autoscale else self.replicas
        return ResolvedVersion(build, image, replicas, env, self.autoscale)

    @model_validator(mode="after")
    def _validate_name_and_path(self) -> Self:
        raise_if_any(self._name_and_path_errors())
        return self

    @model_validator(mode="after")
    def _validate_pods(self) -> Self:
        raise_if_any(self._pod_errors())
        return self

    def _pod_errors(self) -> Iterator[ConfigError]:
        if self.autoscale:
            yield from replicas_errors(self)
            requests, limits = (total(part.model_dump()) for part in (self.resources.requests, self.resources.limits))
            yield from self.autoscale.target_errors(requests, limits, DEFAULT_CPU_TARGET)
        if (pre_stop := self.pre_stop_seconds) >= self.grace_period:
            allowed = f"less than gracePeriod, which is {self.grace_period}: it begins before preStop"
            yield ConfigError("preStop", pre_stop, allowed, f"write gracePeriod: {pre_stop + 25}")

    def _name_and_path_errors(self) -> Iterator[ConfigError]:
        if self.name == "proxy":
            yield ConfigError("name", self.name, "any but proxy, whose URL is the gateway's", "give it another name")
        if self.path.startswith("/~"):
            allowed = "one that doesn't begin with \"/~\", which marks a regular expression for Kong's controller"
            yield ConfigError("path", self.path, allowed, f"write for example {self.path.replace('~', '', 1)}")
