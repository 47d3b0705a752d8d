"""The number of a workload's pods, fixed or autoscaled."""

from collections.abc import Iterator, Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.types import Model

Resource = Literal["cpu", "memory"]
_LARGEST_TARGET = 10_000


class PodAutoscale(Model):
    """Bounds of the number of pods, and the average use at which pods are added or removed."""

    min: int = Field(1, ge=1, le=100, description="1 to 100 pods", examples=[2])
    max: int = Field(ge=2, le=100, description="2 to 100 pods", examples=[5])
    cpu: int | None = Field(
        None,
        ge=1,
        le=_LARGEST_TARGET,
        description=f"average use in percent of requests.cpu, 1 to {_LARGEST_TARGET}",
        examples=[80],
    )
    memory: int | None = Field(
        None,
        ge=1,
        le=_LARGEST_TARGET,
        description=f"average use in percent of requests.memory, 1 to {_LARGEST_TARGET}",
        examples=[80],
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.min >= self.max:
            fix = f"write replicas: {self.min} instead of autoscale, or raise max"
            raise_if_any([ConfigError("min", self.min, f"less than max, which is {self.max}", fix)])
        return self

    def targets(self, default_cpu: int) -> Mapping[Resource, int]:
        """Returns the percentage of each request; without any, `default_cpu` of the CPU's."""
        own: dict[Resource, int | None] = {"cpu": self.cpu, "memory": self.memory}
        return {name: percent for name, percent in own.items() if percent} or {"cpu": default_cpu}

    def target_errors(
        self, requests: Mapping[str, float], limits: Mapping[str, float], default_cpu: int
    ) -> Iterator[ConfigError]:
        """Yields an error for each target that a pod, with these requests and limits, can't reach."""
        for name, percent in self.targets(default_cpu).items():
            if not requests[name]:
                allowed = "a request above 0, which the autoscaler compares the use with"
                yield ConfigError(f"resources.requests.{name}", None, allowed, f"remove resources.requests.{name}")
            elif percent > (reachable := int(100 * limits[name] / requests[name])):
                allowed = f"at most {reachable}, where limits.{name} is in percent of the request"
                yield ConfigError(f"autoscale.{name}", percent, allowed, f"write {name}: {min(default_cpu, reachable)}")


def replicas_errors(section: Model) -> Iterator[ConfigError]:
    """Yields an error if a section has `replicas` beside `autoscale`."""
    if "replicas" in section.model_fields_set:
        allowed = "unset with autoscale, which sets the number of pods"
        yield ConfigError("replicas", None, allowed, "remove replicas, or autoscale")
