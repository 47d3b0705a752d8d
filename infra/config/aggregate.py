"""One answer from several services: what asks them, and whom it may ask."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from infra.config.errors import Complaint, raise_any
from infra.config.policies import GatewayPolicies
from infra.config.service import Service, Workload
from infra.config.types import HeaderName, Model, ServiceName, UrlPath
from infra.config.version import Running

ADDRESS = (
    "connection content-length expect host keep-alive proxy-authenticate proxy-authorization te trailer "
    "transfer-encoding upgrade"
)
"""Headers that belong to one connection (RFC 9110, 7.6.1), or to the request's address and size."""


class Backend(Model):
    """What one service is asked."""

    path: UrlPath
    timeout: float | None = Field(None, gt=0, le=60, description="seconds, up to 60", examples=[2])


class Aggregate(Workload):
    """A route whose answer is put together from the answers of several services, which are asked at once."""

    key: ClassVar[str] = "aggregates"
    build: ClassVar[str] = "apps/aggregate"
    port: ClassVar[int] = 5000
    health_path: ClassVar[str] = "/healthz"

    # A path alone, or with more about it.
    backends: dict[
        ServiceName, Annotated[Backend, BeforeValidator(lambda said: {"path": said} if isinstance(said, str) else said)]
    ] = Field(min_length=1, description="services with paths", examples=[{"foo": "/foo", "bar": "/bar"}])
    timeout: float = Field(2, gt=0, le=60, description="seconds for each service, up to 60", examples=[2])
    headers: list[HeaderName] = Field([], description="headers to pass on", examples=[["X-Tenant"]])

    @property
    def versions(self) -> Mapping[str, Running]:
        """What runs. What it is told besides, `environment` says."""
        return {self.name: Running(self.build, "", self.replicas, {})}

    def health_of(self, _version: Running) -> str:
        return self.health_path

    @property
    def calls(self) -> Collection[str]:
        return {*self.backends, *self.egress.services}

    def environment(self, services: Sequence[Service]) -> Mapping[str, str]:
        """What the container is told: whom to ask for what, and how long to wait."""
        asked = {service.name: f"{service.host}:{service.port}" for service in services}
        backends = {
            name: {
                "url": f"http://{asked[name]}{backend.path}",
                "timeout": backend.timeout or self.timeout,
            }
            for name, backend in self.backends.items()
        }
        # Who asks is passed on where the gateway has made sure of it; otherwise a client could claim to be anybody.
        told = {"path": self.path, "backends": backends, "identity": self.auth is not None, "headers": self.headers}
        return {"AGGREGATE": json.dumps(told)}

    @model_validator(mode="after")
    def _is_plain_http(self) -> Self:
        raise_any(self._own_complaints())
        return self

    def _own_complaints(self) -> Iterator[Complaint]:
        for field in ("protocol", "rewrite", "strip_path"):
            if (value := getattr(self, field)) != type(self).model_fields[field].default:
                key = to_camel(field)
                yield Complaint(key, value, "unset beside backends, each of which has its path", f"remove {key}")
        if self.path == self.health_path:
            yield Complaint("path", self.path, "any but that of the health check", "give it another path")
        for index, header in enumerate(self.headers):
            if header.lower() in ADDRESS.split():
                allowed = "a header of the request, not of its connection or address"
                yield Complaint(f"headers[{index}]", header, allowed, f"remove {header}")


def complaints(
    aggregates: Sequence[Aggregate], services: Sequence[Service], gateway: GatewayPolicies
) -> Iterator[Complaint]:
    """What doesn't fit between aggregates and the services that they ask."""
    known = {service.name: service for service in services}
    for index, aggregate in enumerate(aggregates):
        place = f"aggregates[{index}]"
        for name in aggregate.backends:
            service = known.get(name)
            if service is None or service.protocol == "grpc":
                names = ", ".join(sorted(each.name for each in services if each.protocol == "http")) or "none"
                allowed = f"services that speak HTTP, which are {names}"
                yield Complaint(f"{place}.backends.{name}", None, allowed, f"remove {name}, or add it to services")
                continue
            # Services are asked inside of the cluster, where no gateway stands before them.
            theirs, ours = service.guards(gateway), aggregate.guards(gateway)
            for key, guard in theirs.items():
                if ours.get(key) != guard:
                    allowed = f"the same as of {name}, or it would be open to others by this way"
                    yield Complaint(f"{place}.{key}", None, allowed, f"copy {key} from {name}")
            if service.allow and not (aggregate.allow and set(aggregate.allow) <= set(service.allow)):
                allowed = f"some of {name}'s, which are {', '.join(service.allow)}"
                fix = f"write allow: [{service.allow[0]}]"
                yield Complaint(f"{place}.allow", None, allowed, fix)
