"""A service as the stack's configuration has it."""

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from infra.config.errors import Complaint, raise_any
from infra.config.network import Ingress, ServiceEgress
from infra.config.policies import RoutePolicies
from infra.config.types import LONGEST_NAME, Model, Quantity, ServiceName, UrlPath, quantity
from infra.config.version import BlueGreen, Canary, Running, Source, Version


# A tutorial node (s-1vcpu-2gb) offers 900m and about 1 GiB, of which DOKS's own pods request some 710m and 750 MiB
# (as `kubectl describe node` shows). So requests are what is left, and limits are what a busy container really needs.
class Requests(Model):
    cpu: Quantity = "15m"
    memory: Quantity = "24Mi"


class Limits(Model):
    cpu: Quantity = "500m"
    memory: Quantity = "128Mi"


class Resources(Model):
    requests: Requests = Field(Requests(), description="cpu, memory", examples=[{"memory": "24Mi"}])
    limits: Limits = Field(Limits(), description="cpu, memory", examples=[{"memory": "128Mi"}])

    @model_validator(mode="after")
    def _requests_fit_limits(self) -> Self:
        raise_any(
            Complaint(
                f"requests.{kind}", request, f"at most limits.{kind}, which is {limit}", f"set limits.{kind}: {request}"
            )
            for kind in ("cpu", "memory")
            if quantity(request := getattr(self.requests, kind)) > quantity(limit := getattr(self.limits, kind))
        )
        return self


class Workload(RoutePolicies):
    """What answers on a route, and the route's policies."""

    name: ServiceName
    path: UrlPath
    replicas: int = Field(1, ge=1, le=100, description="1 to 100 (to stop a service, remove its entry)", examples=[1])
    resources: Resources = Field(
        Resources(), description="requests, limits", examples=[{"limits": {"memory": "128Mi"}}]
    )
    tracing: bool = Field(True, description="true or false", examples=[False])
    ingress: Ingress = Field(Ingress(), description="namespaces", examples=[{"namespaces": ["monitoring"]}])
    egress: ServiceEgress = Field(
        ServiceEgress(), description="internet, services, namespaces, networks", examples=[{"services": ["bar"]}]
    )

    @property
    def calls(self) -> Collection[str]:
        """The services that it may call."""
        return self.egress.services

    @property
    def shares(self) -> Mapping[str, int]:
        """Of a hundred requests, how many go to which version. A canary has an entry whatever its weight."""
        return {self.name: 100}

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        raise_any(self._way_complaints())
        return self

    def _way_complaints(self) -> Iterator[Complaint]:
        if self.name == "proxy":
            yield Complaint("name", self.name, "any but proxy, whose URL is the gateway's", "give it another name")
        if self.path.startswith("/~"):
            allowed = "one that doesn't begin with \"/~\", by which Kong's controller knows a pattern"
            yield Complaint("path", self.path, allowed, f"write for example {self.path.replace('~', '', 1)}")


class Service(Workload, Source):
    """A microservice behind the gateway: built from a directory, or a ready-made image."""

    key: ClassVar[str] = "services"

    port: int = Field(5000, ge=1, le=65535, description="a port from 1 to 65535", examples=[5000])
    health: UrlPath | None = Field(None, description='a path from "/" on', examples=["/healthz"])
    canary: Canary | None = Field(None, description="build or image, weight", examples=[{"build": "apps/foo-next"}])
    blue_green: BlueGreen | None = Field(None, description="blue, green, live", examples=[{"live": "blue"}])

    @property
    def versions(self) -> Mapping[str, Running]:
        """What runs, each under a name of its own."""
        own = {} if self.blue_green else {self.name: Running(self.build, self.image, self.replicas, self.env)}
        more: Mapping[str, Version] = self.blue_green.versions if self.blue_green else {}
        if self.canary:
            more = {"canary": self.canary}
        return own | {f"{self.name}-{suffix}": each.over(self.env, self.replicas) for suffix, each in more.items()}

    @property
    def shares(self) -> Mapping[str, int]:
        if self.blue_green:
            return {f"{self.name}-{self.blue_green.live}": 100}
        if self.canary:
            return {self.name: 100 - self.canary.weight, f"{self.name}-canary": self.canary.weight}
        return super().shares

    @property
    def host(self) -> str:
        """Where others in the namespace find it: what is live; of a service with a canary, the service itself."""
        return f"{next(iter(self.shares))}-service"

    def health_of(self, version: Running) -> str | None:
        """What the probes ask for; None: they only connect, since not every image has such a path."""
        return self.health or ("/healthz" if version.build and self.protocol == "http" else None)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_any(self._complaints())
        return self

    def _complaints(self) -> Iterator[Complaint]:
        if self.health and self.protocol == "grpc":
            yield Complaint("health", self.health, "unset with protocol: grpc", "remove health")
        if not self.blue_green:
            yield from self.source_complaints(f"apps/{self.name}")
        else:
            for key in ("build", "image", "canary"):
                if getattr(self, key):
                    allowed = "unset beside blueGreen, which says what runs"
                    yield Complaint(key, None, allowed, f"move it to blueGreen.{self.blue_green.live}")
        suffixes = ["canary"] if self.canary else list(self.blue_green.versions) if self.blue_green else []
        # The longest name made of a version's is <version>-deployment, as with ServiceName.
        if (length := max((len(f"-{suffix}") for suffix in suffixes), default=0)) + len(self.name) > LONGEST_NAME:
            allowed = f"at most {LONGEST_NAME - length} letters beside {' and '.join(suffixes)}"
            yield Complaint("name", self.name, allowed, "give it a shorter name")
