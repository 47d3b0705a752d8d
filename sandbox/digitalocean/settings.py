"""Settings of the account that a test may change."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from sandbox.digitalocean import catalog


class Settings(BaseModel):
    """Delays, in seconds after DigitalOcean's answer, quotas, and the state of the account."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    cluster_create: float = 0
    """At least; the real Kubernetes takes its time on top."""
    cluster_delete: float = 2
    cluster_upgrade: float = 2
    deleting_state: Literal["deleting", "deleted"] = "deleted"
    """The state of a cluster that is being deleted. DigitalOcean documents both; its Go client accepts "deleted"."""
    node_create: float = 2
    node_delete: float = 2
    load_balancer_create: float = 3
    load_balancer_delete: float = 2
    account_status: Literal["active", "warning", "locked"] = "active"
    account_status_message: str = ""
    droplet_limit: int = 10
    machines: int = 0
    """Nodes that are machines of the sandbox, at most; 0: any number, for clusters without machines."""
    requests_per_hour: int = 5000
    requests_per_minute: int = 250
    versions: tuple[str, ...] = catalog.VERSIONS
    registry_names_taken: tuple[str, ...] = ()
    """Registry names of other accounts."""
