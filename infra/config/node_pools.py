"""Node pools of the cluster that the stack creates."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.types import Model

DEFAULT_POOL = "default"
"""The pool that a cluster is created with. Its keys are `nodeSize`, `nodeCount` and `nodeAutoscale`."""
DEFAULT_POOL_TAG = "terraform:default-node-pool"
"""The tag that marks a cluster's default pool for Pulumi's provider."""
MAX_NODES = 512
"""Nodes of a cluster that DigitalOcean allows (Kubernetes limits page)."""
SIZE = r"^[a-z0-9_]+(-[a-z0-9.]+)+$"
_LONGEST_LABEL = 63
_LONGEST_DOMAIN = 253
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

# A node is called <pool>-<size>-<5 characters>, which is a label as well.
PoolName = Annotated[
    str,
    Field(
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        max_length=24,
        description="lower-case letters, digits and hyphens, from a letter, at most 24",
        examples=["batch"],
    ),
]


def _has_short_domain(key: str) -> str:
    if len(key.rpartition("/")[0]) > _LONGEST_DOMAIN:
        raise ValueError(key)
    return key


LabelKey = Annotated[
    str,
    Field(
        pattern=rf"^({_DOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$",
        max_length=_LONGEST_DOMAIN + 1 + _LONGEST_LABEL,
        description="letters, digits and ._-, at most 63, perhaps after a domain of at most 253 and a slash",
        examples=["tier"],
    ),
    AfterValidator(_has_short_domain),
]
LabelValue = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        max_length=_LONGEST_LABEL,
        description="letters, digits and ._-, at most 63",
        examples=["batch"],
    ),
]
_RESERVED = ("doks.digitalocean.com", "kubernetes.io", "k8s.io")
"""Domains whose labels DigitalOcean and Kubernetes set."""


class Autoscale(Model):
    """Bounds between which DigitalOcean's cluster autoscaler chooses the number of nodes."""

    min: int = Field(1, ge=0, le=MAX_NODES, description="0 to 512 nodes", examples=[1])
    max: int = Field(ge=1, le=MAX_NODES, description="1 to 512 nodes", examples=[3])

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min > self.max:
            allowed = f"at most max, which is {self.max}"
            raise_if_any([ConfigError("min", self.min, allowed, f"write min: {self.max}")])
        return self


class Taint(Model):
    """Keeps pods without a toleration from the nodes of a pool; the pool's services get the toleration."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        "NoSchedule", description="NoSchedule, PreferNoSchedule or NoExecute", examples=["NoSchedule"]
    )


class NodePool(Model):
    """Nodes of one size beside the default pool."""

    size: str = Field(pattern=SIZE, description="a Droplet size", examples=["s-2vcpu-4gb"])
    count: int | None = Field(None, ge=1, le=MAX_NODES, description="1 to 512 nodes (default 1)", examples=[2])
    autoscale: Autoscale | None = Field(None, description="min, max", examples=["{min: 1, max: 3}"])
    labels: dict[LabelKey, LabelValue] = Field({}, description="labels of its nodes", examples=['{"tier": "batch"}'])
    taints: list[Taint] = Field([], description="a list of taints", examples=["[{key: batch}]"])

    @property
    def least(self) -> int:
        """The smallest number of nodes."""
        return self.autoscale.min if self.autoscale else self.count or 1

    @property
    def most(self) -> int:
        """The largest number of nodes."""
        return self.autoscale.max if self.autoscale else self.count or 1

    @property
    def repels(self) -> bool:
        """True if pods without a toleration can't run on it."""
        return any(taint.effect != "PreferNoSchedule" for taint in self.taints)

    def full_name(self, key: str) -> str:
        """Returns the pool's name on DigitalOcean.

        No two pools of a cluster have the same name. The name has the size, so that the pool of a new size exists
        beside the one that it replaces. Nodes have the pool's name, in which Kubernetes allows no underscore, as some
        sizes have.
        """
        return f"{key}-{self.size}".replace("_", "-")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_if_any(self._errors())
        return self

    def _errors(self) -> Iterator[ConfigError]:
        if self.count is not None and self.autoscale:
            yield ConfigError("count", self.count, "unset with autoscale", "remove count")
        for label in self.labels:
            prefix = label.rpartition("/")[0]
            if any(f".{prefix}".endswith(f".{reserved}") for reserved in _RESERVED):
                allowed = "labels of your own; DigitalOcean and Kubernetes set these"
                yield ConfigError(f"labels.{label}", None, allowed, f"remove {label}")
        taints = [(taint.key, taint.effect) for taint in self.taints]
        for index, (key, effect) in enumerate(taints):
            if (key, effect) in taints[:index]:
                allowed = "each key once with an effect, as Kubernetes demands of a node"
                yield ConfigError(f"taints[{index}]", None, allowed, f"keep one taint {key} with effect {effect}")
