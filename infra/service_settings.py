"""A service as the stack's configuration has it."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from infra.complaints import Complaint, raise_any
from infra.fields import IMAGE, EnvironmentName, Model, Quantity, ServiceName, UrlPath, quantity
from infra.network_settings import Ingress, ServiceEgress
from infra.policy_settings import RoutePolicies

PROJECT = Path(__file__).resolve().parent.parent


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

    @model_validator(mode="after")
    def _is_not_the_gateway(self) -> Self:
        if self.name == "proxy":
            fix = "give it another name"
            raise_any([Complaint("name", self.name, "any but proxy, whose URL is the gateway's", fix)])
        return self


class Service(Workload):
    """A microservice behind the gateway: built from a directory, or a ready-made image."""

    key: ClassVar[str] = "services"

    build: str = Field("", description="a directory with a Dockerfile", examples=["apps/foo"])
    image: str = Field("", description="an image by tag or digest", examples=["user/foo-microservice:0.1"])
    port: int = Field(5000, ge=1, le=65535, description="a port from 1 to 65535", examples=[5000])
    health: UrlPath | None = Field(None, description='a path from "/" on', examples=["/healthz"])
    env: dict[EnvironmentName, str] = Field(
        {},
        description="names of letters, digits and _, with text as values",
        examples=[{"LOG_LEVEL": "info"}],
    )

    @property
    def health_path(self) -> str | None:
        """What the probes ask for; None: they only connect, since not every image has such a path."""
        return self.health or ("/healthz" if self.build and self.protocol == "http" else None)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        raise_any(self._complaints())
        return self

    def _complaints(self) -> Iterator[Complaint]:
        if self.health and self.protocol == "grpc":
            yield Complaint("health", self.health, "unset with protocol: grpc", "remove health")
        if "PORT" in self.env:
            yield Complaint("env.PORT", self.env["PORT"], "unset: it says what port says", "remove it, and set port")
        if bool(self.build) == bool(self.image):
            problem = "has both build and image" if self.build else "has neither build nor image"
            yield Complaint("", None, "exactly one of them", f"keep for example build: apps/{self.name}", problem)
        elif self.build and not (PROJECT / self.build / "Dockerfile").is_file():
            yield Complaint(
                "build", self.build, "a directory with a Dockerfile", f"add {self.build}/Dockerfile, or set image"
            )
        elif self.image:
            # With a tag that moves, what runs changes without a rollout.
            match = IMAGE.fullmatch(self.image)
            if not match or not (match["digest"] or (match["tag"] or "latest") != "latest"):
                allowed = "an image by its digest, or by a tag that stays (latest doesn't)"
                yield Complaint("image", self.image, allowed, "end it with a tag such as :0.1")
