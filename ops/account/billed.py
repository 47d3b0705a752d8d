"""A billed resource of the account: its price and its owner."""

from dataclasses import dataclass
from enum import StrEnum

from infra.config import prices
from ops.account.documents import Droplet, LoadBalancer, Stored

Tagged = Droplet | LoadBalancer | Stored


class Owner(StrEnum):
    """The owner of a resource, as far as it can be proved."""

    STACK = "stack"
    """Provably the stack."""
    OTHER_STACK = "other-stack"
    """Another stack of the project."""
    UNKNOWN = "unknown"
    """Perhaps the stack: Pulumi has no history of it."""
    NOBODY = "nobody"
    """The resource's cluster is gone, and no update of the stack had that cluster."""
    SOMEBODY = "somebody"
    """The resource has the stack's name, and no update of the stack created it."""


@dataclass(frozen=True)
class BilledResource:
    """A resource of the account; prices in US dollars."""

    kind: str
    id: str
    name: str
    monthly: float
    hourly: float
    cluster: str = ""
    """Id of the cluster in the resource's tag `k8s:<id>`."""
    orphan: bool = False
    """True if that cluster no longer exists."""
    owner: Owner = Owner.STACK
    other_stack: str = ""
    """The name of the stack that has it, with `Owner.OTHER_STACK`."""

    @property
    def remove(self) -> str:
        """The command that deletes it."""
        return f"python -m ops remove {self.kind} {self.id}"


def price(kind: str, document: Tagged) -> tuple[float, float]:
    """Returns the dollars a month and an hour."""
    if isinstance(document, Droplet):
        return document.size.price_monthly, document.size.price_hourly
    if isinstance(document, LoadBalancer):
        # A load balancer without a type in the answer is of the older, cheaper type.
        monthly = prices.LOAD_BALANCER.get(document.type or "REGIONAL", prices.LOAD_BALANCER["REGIONAL_NETWORK"])
        monthly *= document.size_unit or 1
    else:
        per_gib = prices.VOLUME_PER_GIB if kind == "volume" else prices.SNAPSHOT_PER_GIB
        monthly = per_gib * document.size_gigabytes
    return monthly, prices.hourly(monthly)
