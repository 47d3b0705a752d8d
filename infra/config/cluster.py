"""The Kubernetes cluster: one that the stack creates on DigitalOcean, or an existing one."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from infra.config import versions
from infra.config.node_pools import DEFAULT_POOL, SIZE, Autoscale, NodePool, PoolName
from infra.config.types import ClusterName, Model


class ClusterSettings(Model):
    """Keys of the cluster. They are top-level keys of the stack file."""

    cluster_name: ClusterName = "mycluster"
    region: str = Field("nyc1", pattern=r"^[a-z]{3}[0-9]$", description="a DigitalOcean region", examples=["nyc1"])
    node_size: str = Field("s-1vcpu-2gb", pattern=SIZE, description="a Droplet size", examples=["s-1vcpu-2gb"])
    node_count: int = Field(1, ge=1, le=512, description="1 to 512 nodes", examples=[1])
    node_autoscale: Autoscale | None = Field(None, description="min, max", examples=["{min: 1, max: 3}"])
    node_pools: dict[PoolName, NodePool] = Field(
        {}, description="node pools by name", examples=["{batch: {size: s-2vcpu-4gb, count: 1}}"]
    )
    kubernetes_version: str = Field(
        versions.KUBERNETES, pattern=r"^1\.[0-9]{2}$", description="a minor version, in quotes", examples=['"1.35"']
    )
    ha: bool = Field(False, description="true or false", examples=[False])
    kube_context: str = Field("", description="a context of your kubeconfig", examples=["docker-desktop"])

    @property
    def creates_cluster(self) -> bool:
        """True if the stack creates its cluster instead of using an existing one."""
        return not self.kube_context

    @property
    def default_pool(self) -> NodePool:
        """The pool that the cluster is created with."""
        if self.node_autoscale:
            return NodePool(size=self.node_size, autoscale=self.node_autoscale)
        return NodePool(size=self.node_size, count=self.node_count)

    @property
    def default_pool_name(self) -> str:
        """The name of the default pool on DigitalOcean."""
        return f"{self.cluster_name}-default-pool"

    @property
    def all_pools(self) -> Mapping[str, NodePool]:
        """Every pool of the cluster by name, the default one first."""
        return {DEFAULT_POOL: self.default_pool, **self.node_pools}

    @field_validator("node_autoscale", mode="before")
    @classmethod
    def _read_empty_as_unset(cls, value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
        return None if value == {} else value
