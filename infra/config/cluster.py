"""The Kubernetes cluster: one that the stack creates on DigitalOcean, or an existing one."""

from pydantic import Field

from infra.config import versions
from infra.config.types import ClusterName, Model


class ClusterSettings(Model):
    """Keys of the cluster. They are top-level keys of the stack file."""

    cluster_name: ClusterName = "mycluster"
    region: str = Field("nyc1", pattern=r"^[a-z]{3}[0-9]$", description="a DigitalOcean region", examples=["nyc1"])
    node_size: str = Field(
        "s-1vcpu-2gb", pattern=r"^[a-z0-9_]+(-[a-z0-9.]+)+$", description="a Droplet size", examples=["s-1vcpu-2gb"]
    )
    node_count: int = Field(1, ge=1, le=512, description="1 to 512 nodes", examples=[1])
    kubernetes_version: str = Field(
        versions.KUBERNETES, pattern=r"^1\.[0-9]{2}$", description="a minor version, in quotes", examples=['"1.35"']
    )
    ha: bool = Field(False, description="true or false", examples=[False])
    kube_context: str = Field("", description="a context of your kubeconfig", examples=["docker-desktop"])

    @property
    def creates_cluster(self) -> bool:
        """True if the stack creates its cluster instead of using an existing one."""
        return not self.kube_context
