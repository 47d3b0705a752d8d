"""Workloads that run an app of this project: aggregates, and the page."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self

from pydantic import model_validator
from pydantic.alias_generators import to_camel

from infra.config.errors import ConfigError, raise_if_any
from infra.config.policies import Policies
from infra.config.service import Service
from infra.config.service_version import ResolvedVersion
from infra.config.workload import Workload


class BundledApp(Workload):
    """A workload with an image from a directory of `apps/`, configured by one environment variable."""

    build: ClassVar[str]
    port: ClassVar[int] = 5000
    health_path: ClassVar[str] = "/healthz"
    fixed: ClassVar[Mapping[str, str]]
    """Fields that must keep their default, each with the reason."""

    @property
    def versions(self) -> Mapping[str, ResolvedVersion]:
        """The one version, whose variables `environment` returns."""
        return {self.name: self.resolved(self.build, "", {})}

    def probe_path(self, _version: ResolvedVersion) -> str:
        return self.health_path

    @abstractmethod
    def environment(
        self, version: ResolvedVersion, workloads: Sequence["AnyWorkload"], gateway: Policies
    ) -> Mapping[str, str]:
        """Returns the container's variables, beside PORT."""

    @model_validator(mode="after")
    def _validate_app(self) -> Self:
        raise_if_any(self._app_errors())
        return self

    def _app_errors(self) -> Iterator[ConfigError]:
        for field, reason in self.fixed.items():
            if (value := getattr(self, field)) != type(self).model_fields[field].default:
                key, shown = to_camel(field), value if isinstance(value, str | bool) else None
                yield ConfigError(key, shown, f"unset {reason}", f"remove {key}")
        if self.path == self.health_path:
            yield ConfigError("path", self.path, "any but that of the health check", "give it another path")


AnyWorkload = Service | BundledApp
"""An entry of a stack's list of workloads."""
