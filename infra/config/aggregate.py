"""Aggregates: routes whose answer combines the answers of several services."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from infra.config.bundled_app import AnyWorkload, BundledApp
from infra.config.errors import ConfigError, raise_if_any
from infra.config.policies import Policies
from infra.config.service_version import ResolvedVersion
from infra.config.types import HeaderName, Model, ServiceName, UrlPath

ADDRESS = (
    "connection content-length expect host keep-alive proxy-authenticate proxy-authorization te trailer "
    "transfer-encoding upgrade"
)
"""Headers that belong to one connection (RFC 9110, 7.6.1), or to the request's address and size."""


class Backend(Model):
    """The request to one service."""

    path: UrlPath
    timeout: float | None = Field(None, gt=0, le=60, description="seconds, up to 60", examples=[2])


BackendOrPath = Annotated[
    Backend,
    BeforeValidator(
        lambda value: {"path": value} if isinstance(value, str) else value, json_schema_input_type=UrlPath | Backend
    ),
]


class Aggregate(BundledApp):
    """A route whose answer combines those of several services, which are requested concurrently."""

    key: ClassVar[str] = "aggregates"
    build: ClassVar[str] = "apps/aggregate"
    fixed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("protocol", "rewrite", "strip_path"), "with backends, each of which has its own path"
    )

    backends: dict[ServiceName, BackendOrPath] = Field(
        min_length=1, description="services with paths", examples=[{"foo": "/foo", "bar": "/bar"}]
    )
    timeout: float = Field(2, gt=0, le=60, description="seconds for each service, up to 60", examples=[2])
    headers: list[HeaderName] = Field([], description="headers to pass on", examples=[["X-Tenant"]])

    def calls(self, _names: Collection[str]) -> Collection[str]:
        return {*self.backends, *self.egress.services}

    def environment(
        self, _version: ResolvedVersion, workloads: Sequence[AnyWorkload], _gateway: Policies
    ) -> Mapping[str, str]:
        """Returns the container's variables: the URL and the timeout of each backend."""
        addresses = {workload.name: f"{workload.host}:{workload.port}" for workload in workloads}
        backends = {
            name: {
                "url": f"http://{addresses[name]}{backend.path}",
                "timeout": backend.timeout or self.timeout,
            }
            for name, backend in self.backends.items()
        }
        # The aggregate passes identity headers on only behind authentication: otherwise a client could forge them.
        config = {"path": self.path, "backends": backends, "identity": self.auth is not None, "headers": self.headers}
        return {"AGGREGATE": json.dumps(config)}

    @model_validator(mode="after")
    def _validate_headers(self) -> Self:
        raise_if_any(self._forwarded_header_errors())
        return self

    def _forwarded_header_errors(self) -> Iterator[ConfigError]:
        for index, header in enumerate(self.headers):
            if header.lower() in ADDRESS.split():
                allowed = "a header of the request, not of its connection or address"
                yield ConfigError(f"headers[{index}]", header, allowed, f"remove {header}")
