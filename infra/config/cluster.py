"""The Kubernetes cluster: one that the stack creates on DigitalOcean, or an existing one."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from infra.config import versions
from infra.config.errors import ConfigError, raise_if_any
from infra.config.node_pools import DEFAULT_POOL, MAX_NODES, SIZE, Autoscale, NodePool, PoolName
from infra.config.types import ClusterName, Ipv4Network, Model, default_pool_name


class MaintenanceWindow(Model):
    """Four hours of a week in which DigitalOcean upgrades the cluster."""

    day: Literal["any", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "any", description="any, or a day of the week in lower case", examples=["sunday"]
    )
    start: str = Field(
        pattern=r"^([01][0-9]|2[0-3]):00$", description="a full hour in UTC, in quotes", examples=['"04:00"']
    )


_LARGEST_RANGE, _SMALLEST_RANGE = 16, 24
"""Prefix lengths of a VPC's addresses (documentation of Pulumi's provider)."""
_PRIVATE = [ipaddress.IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
"""RFC 1918, which a VPC's addresses are of. Python counts others as private too, such as 127.0.0.0/8."""


class Vpc(Model):
    """The private network of the cluster: an existing one, or one that the stack creates."""

    id: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="the UUID of an existing VPC",
        examples=["5a4981aa-9653-4bd1-bef5-d6bff52042e4"],
    )
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        max_length=255,
        description="letters, digits, dots and hyphens",
        examples=["shop"],
    )
    ip_range: Ipv4Network | None = Field(
        None, description="a private IPv4 network from /16 to /24", examples=["10.120.0.0/20"]
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_if_any(self._errors())
        return self

    def _errors(self) -> Iterator[ConfigError]:
        if bool(self.id) == bool(self.name):
            problem = "has both id and name" if self.id else "has neither id nor name"
            yield ConfigError("", None, "exactly one of them", "keep for example name: shop", problem)
        if self.ip_range is None:
            return
        if self.id:
            yield ConfigError("ipRange", str(self.ip_range), "only with name", "remove ipRange")
        elif not (
            any(map(self.ip_range.subnet_of, _PRIVATE)) and _LARGEST_RANGE <= self.ip_range.prefixlen <= _SMALLEST_RANGE
        ):
            allowed = "a private IPv4 network (RFC 1918) from /16 to /24"
            yield ConfigError("ipRange", str(self.ip_range), allowed, "write for example 10.120.0.0/20")


_UNPROTECTED = "dev"
"""The stack that is made to be destroyed."""


class ClusterSettings(Model):
    """Keys of the cluster. They are top-level keys of the stack file."""

    cluster_name: ClusterName = "mycluster"
    region: str = Field("nyc1", pattern=r"^[a-z]{3}[0-9]$", description="a DigitalOcean region", examples=["nyc1"])
    node_size: str = Field("s-1vcpu-2gb", pattern=SIZE, description="a Droplet size", examples=["s-1vcpu-2gb"])
    node_count: int = Field(1, ge=1, le=MAX_NODES, description="1 to 512 nodes", examples=[1])
    node_autoscale: Autoscale | None = Field(None, description="min, max", examples=["{min: 1, max: 3}"])
    node_pools: dict[PoolName, NodePool] = Field(
        {}, description="node pools by name", examples=["{batch: {size: s-2vcpu-4gb, count: 1}}"]
    )
    protect: bool | None = Field(
        None, description="true or false (default true, except for stack dev)", examples=[False]
    )
    allow_replace: bool = Field(False, description="true or false", examples=[False])
    kubernetes_version: str = Field(
        "", pattern=r"^(1\.[0-9]{2})?$", description="a minor version, in quotes", examples=['"1.35"']
    )
    auto_upgrade: bool = Field(False, description="true or false", examples=[True])
    maintenance_window: MaintenanceWindow | None = Field(
        None, description="day, start", examples=['{day: sunday, start: "04:00"}']
    )
    vpc: Vpc | None = Field(None, description="id; or name, ipRange", examples=["{name: shop}"])
    control_plane_firewall: list[Ipv4Network] = Field(
        [], description="a list of IPv4 addresses and networks", examples=["[203.0.113.0/24]"]
    )
    ha: bool = Field(False, description="true or false", examples=[False])
    kube_context: str = Field("", description="a context of your kubeconfig", examples=["docker-desktop"])

    @property
    def creates_cluster(self) -> bool:
        """True if the stack creates its cluster instead of using an existing one."""
        return not self.kube_context

    @property
    def first_version(self) -> str:
        """The minor version of Kubernetes that the cluster is created with."""
        return self.kubernetes_version or versions.KUBERNETES

    @property
    def default_pool(self) -> NodePool:
        """The pool that the cluster is created with."""
        if self.node_autoscale:
            return NodePool(size=self.node_size, autoscale=self.node_autoscale)
        return NodePool(size=self.node_size, count=self.node_count)

    @property
    def default_pool_name(self) -> str:
        """The name of the default pool on DigitalOcean."""
        return default_pool_name(self.cluster_name)

    @property
    def all_pools(self) -> Mapping[str, NodePool]:
        """Every pool of the cluster by name, the default one first."""
        return {DEFAULT_POOL: self.default_pool, **self.node_pools}

    @property
    def scales_nodes(self) -> bool:
        """True if DigitalOcean's cluster autoscaler adds and removes nodes."""
        return any(pool.autoscale for pool in self.all_pools.values())

    def is_protected(self, stack: str) -> bool:
        """True if Pulumi refuses to delete or replace the cluster of a stack."""
        return stack != _UNPROTECTED if self.protect is None else self.protect

    @field_validator("node_autoscale", "maintenance_window", "protect", "vpc", mode="before")
    @classmethod
    def _read_empty_as_unset(cls, value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
        return None if value in ({}, "") else value
