"""A service and its versions."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from infra.config.build_folder import unhashable
from infra.config.errors import ConfigError, raise_if_any
from infra.config.network import Ingress, ServiceEgress
from infra.config.node_pools import PoolName
from infra.config.pod_resources import total
from infra.config.policies import Policies, RoutePolicies, Timeouts
from infra.config.registry import PullCredentials
from infra.config.scaling import PodAutoscale, replicas_errors
from infra.config.types import (
    IMAGE,
    LONGEST_IMAGE_NAME,
    LONGEST_NAME,
    MIN_MEMORY,
    Cpu,
    EnvironmentName,
    Memory,
    Model,
    ProbePath,
    ServiceName,
    UrlPath,
    quantity,
)

LONGEST_VARIABLE = 128 << 10
"""Bytes of name and value: MAX_ARG_STRLEN of Linux."""
PROJECT = Path(__file__).resolve().parents[2]
CONNECT_SECONDS = 2.0
"""Default of timeouts.connect with several pods: enough for a lost packet to be sent again."""
PRE_STOP, PRE_STOP_OF_SEVERAL = 5, 10
"""Defaults of preStop: the controller's interval and more; with several pods, what a drained node takes.

A drain may end a pod of Kong with the service's. Kong's controller ends at once, so this Kong sends requests to the
service's pod until the load balancer has taken the node out, after two checks in 3 seconds each.
"""
DEFAULT_CPU_TARGET = 80
"""Percent of requests.cpu: Kubernetes' own default of an autoscaler."""
COLOURS: tuple[Literal["blue", "green"], ...] = ("blue", "green")


class ResolvedVersion(NamedTuple):
    """One version of a service, with the service's values where it has none of its own."""

    build: str
    image: str
    replicas: int
    """The number of pods, or what an autoscaler starts from."""
    env: Mapping[str, str]
    autoscale: PodAutoscale | None = None

    @property
    def max_replicas(self) -> int:
        return self.autoscale.max if self.autoscale else self.replicas


class Source(Model):
    """The image of a version, built or existing, and its variables."""

    build: str = Field("", description="a directory with a Dockerfile", examples=["apps/foo"])
    image: str = Field("", description="an image by tag or digest", examples=["user/foo-microservice:0.1"])
    env: dict[EnvironmentName, str] = Field(
        {},
        description="names of letters, digits and ._-, not from a digit, with text as values",
        examples=[{"LOG_LEVEL": "info"}],
    )

    def source_errors(self, example: str) -> Iterator[ConfigError]:
        for name, value in self.env.items():
            if len(f"{name}={value}".encode()) >= LONGEST_VARIABLE:
                allowed = f"less than {LONGEST_VARIABLE >> 10} KiB: Linux starts no process with a longer one"
                yield ConfigError(f"env.{name}", None, allowed, "have the service read it from elsewhere")
        if "PORT" in self.env:
            yield ConfigError("env.PORT", self.env["PORT"], "unset: port sets it", "remove it, and set port")
        if bool(self.build) == bool(self.image):
            problem = "has both build and image" if self.build else "has neither build nor image"
            yield ConfigError("", None, "exactly one of them", f"keep for example build: {example}", problem)
        elif self.build and not os.path.isfile(PROJECT / self.build / "Dockerfile"):  # noqa: PTH113 -- Path's raises, where a name is too long
            yield ConfigError(
                "build", self.build, "a directory with a Dockerfile", f"add {self.build}/Dockerfile, or set image"
            )
        elif self.build:
            allowed, fix = "files, folders and links to existing ones", "remove it, or have .dockerignore leave it out"
            for problem in unhashable(PROJECT / self.build):
                yield ConfigError("build", self.build, allowed, fix, f"holds what can't be built: {problem}")
        elif self.image:
            yield from self._image_errors()

    def _image_errors(self) -> Iterator[ConfigError]:
        match = IMAGE.fullmatch(self.image)
        if not match or len(match["name"]) > LONGEST_IMAGE_NAME:
            allowed = "a registry's host, a path in lower case, a tag or a digest, as in ghcr.io/user/app:0.1"
            lower = self.image.partition("://")[2].lower() or self.image.lower()
            fix = "write for example user/foo-microservice:0.1"
            if IMAGE.fullmatch(lower):
                fix = "write it in lower case, without https://"
            yield ConfigError("image", self.image, allowed, fix, "is not the name of an image")
        # With a tag that moves, new pods may run another image without a rollout.
        elif not (match["digest"] or (match["tag"] or "latest") != "latest"):
            allowed = "an image by its digest, or by a tag that stays (latest doesn't)"
            yield ConfigError("image", self.image, allowed, "end it with a tag such as :0.1")


class Version(Source):
    """One version of a service. The service's values apply where it has none."""

    replicas: int | None = Field(None, ge=1, le=100, description="1 to 100", examples=[1])

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        raise_if_any(self.source_errors("apps/foo-next"))
        return self

    def with_defaults_of(self, service: ResolvedVersion) -> ResolvedVersion:
        """Resolves this version with its service's variables, and number of pods where it has none of its own."""
        version = service._replace(build=self.build, image=self.image, env={**service.env, **self.env})
        return version._replace(replicas=self.replicas, autoscale=None) if self.replicas else version


class Canary(Version):
    """A version that receives a part of the requests."""

    weight: int = Field(10, ge=0, le=100, description="0 to 100 of a hundred requests", examples=[10])


class BlueGreen(Model):
    """Two versions, one of which receives all requests."""

    blue: Version | None = Field(None, description="build or image", examples=[{"build": "apps/foo"}])
    green: Version | None = Field(None, description="build or image", examples=[{"build": "apps/foo-next"}])
    live: Literal["blue", "green"] = Field(description="blue or green", examples=["blue"])

    @property
    def versions(self) -> Mapping[str, Version]:
        return {colour: version for colour in COLOURS if (version := getattr(self, colour))}

    @model_validator(mode="after")
    def _live_one_runs(self) -> Self:
        if self.live not in self.versions:
            fix = f"add {self.live}: {{build: apps/foo}}"
            raise_if_any([ConfigError("live", self.live, ", ".join(self.versions), fix)])
        return self


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
        """With several pods, Kong soon tries another one: a pod of a lost node doesn't even refuse connections."""
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


class Service(Workload, Source):
    """A microservice behind the gateway: built from a directory, or an existing image."""

    key: ClassVar[str] = "services"

    port: int = Field(5000, ge=1, le=65535, description="a port from 1 to 65535", examples=[5000])
    health: ProbePath | None = Field(
        None, description='a path from "/" on, as a URL has it (default /healthz with build)', examples=["/healthz"]
    )
    pull: PullCredentials | None = Field(
        None, description="server, username, password of a private image's registry", examples=[{"server": "ghcr.io"}]
    )
    canary: Canary | None = Field(None, description="build or image, weight", examples=[{"build": "apps/foo-next"}])
    blue_green: BlueGreen | None = Field(None, description="blue, green, live", examples=[{"live": "blue"}])

    @property
    def versions(self) -> Mapping[str, ResolvedVersion]:
        """The versions that run, by name."""
        own = self.resolved(self.build, self.image, self.env)
        others: Mapping[str, Version] = self.blue_green.versions if self.blue_green else {}
        if self.canary:
            others = {"canary": self.canary}
        return ({} if self.blue_green else {self.name: own}) | {
            f"{self.name}-{suffix}": version.with_defaults_of(own) for suffix, version in others.items()
        }

    @property
    def traffic_weights(self) -> Mapping[str, int]:
        if self.blue_green:
            return {f"{self.name}-{self.blue_green.live}": 100}
        if self.canary:
            return {self.name: 100 - self.canary.weight, f"{self.name}-canary": self.canary.weight}
        return super().traffic_weights

    def probe_path(self, version: ResolvedVersion) -> str | None:
        """Returns the HTTP path for the readiness and liveness probes; None selects TCP probes."""
        return self.health or ("/healthz" if version.build and self.protocol == "http" else None)

    def environment(
        self, version: ResolvedVersion, _workloads: Sequence[Workload], _gateway: Policies
    ) -> Mapping[str, str]:
        """Returns the container's variables, beside PORT."""
        return version.env

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_if_any(self._errors())
        return self

    def _errors(self) -> Iterator[ConfigError]:
        if self.health and self.protocol == "grpc":
            yield ConfigError("health", self.health, "unset with protocol: grpc", "remove health")
        if not self.blue_green:
            yield from self.source_errors(f"apps/{self.name}")
        else:
            for key in ("build", "image", "canary"):
                if getattr(self, key):
                    allowed = "unset with blueGreen, which sets the versions"
                    yield ConfigError(key, None, allowed, f"move it to blueGreen.{self.blue_green.live}")
        suffixes = ["canary"] if self.canary else list(self.blue_green.versions) if self.blue_green else []
        # The longest name derived from a version's is <version>-deployment, as with ServiceName.
        if (length := max((len(f"-{suffix}") for suffix in suffixes), default=0)) + len(self.name) > LONGEST_NAME:
            allowed = f"at most {LONGEST_NAME - length} letters with {' and '.join(suffixes)}"
            yield ConfigError("name", self.name, allowed, "give it a shorter name")
