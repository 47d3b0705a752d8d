"""A stand-in for DigitalOcean: API v2 with its delays, refusals and bill, and the cloud controller's load balancers."""

from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import create_app
from sandbox.digitalocean.kubernetes.models import ClusterRecord, KubernetesLike, NodeRecord
from sandbox.digitalocean.settings import Settings

__all__ = ["Cloud", "ClusterRecord", "KubernetesLike", "NodeRecord", "Settings", "create_app"]
