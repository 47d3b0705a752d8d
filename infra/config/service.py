"""A microservice of the stack."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.policies import Policies
from infra.config.registry import PullCredentials, registry_host
from infra.config.service_version import BlueGreen, Canary, ResolvedVersion, Source, Version
from infra.config.types import LONGEST_NAME, ProbePath
from infra.config.workload import Workload


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
    def _image_hosts(self) -> Sequence[str]:
        """The registries that its versions' existing images come from, each once."""
        return list(dict.fromkeys(registry_host(version.image) for version in self.versions.values() if version.image))

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
        if self.pull and registry_host(f"{self.pull.server}/") not in (hosts := self._image_hosts):
            allowed = f"the registry of its image, which is {' or '.join(hosts)}" if hosts else "unset without an image"
            fix = f"write server: {hosts[0]}" if hosts else "remove pull"
            yield ConfigError("pull.server", self.pull.server, allowed, fix)
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
