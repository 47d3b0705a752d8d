"""Price of a stack as configured. Pure arithmetic."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra.config import prices
from infra.config.node_pools import DEFAULT_POOL, NodePool
from infra.config.settings import Settings


class Price(NamedTuple):
    """US dollars."""

    monthly: float
    hourly: float

    @classmethod
    def of_month(cls, monthly: float) -> "Price":
        return cls(monthly, prices.hourly(monthly))


class UnknownPriceError(Exception):
    """A node size or a registry's tier without a price."""

    def __init__(self, key: str, value: str) -> None:
        super().__init__(key, value)
        self.key = key
        self.value = value


@dataclass(frozen=True)
class Item:
    """One line of the estimate; dollars.

    Attributes:
        monthly: price at the smallest number of nodes; `hourly` likewise.
        monthly_most: price at the largest number that the autoscaler may choose; `hourly_most` likewise.
    """

    what: str
    monthly: float
    hourly: float
    monthly_most: float
    hourly_most: float

    @classmethod
    def fixed(cls, what: str, price: Price) -> "Item":
        return cls(what, *price, *price)

    @property
    def a_month(self) -> str:
        return _span(self.monthly, self.monthly_most, ".2f")

    @property
    def an_hour(self) -> str:
        return _span(self.hourly, self.hourly_most, ".5f")


NODE_SIZES = {size: Price.of_month(monthly) for size, monthly in prices.NODE_SIZES.items()}


def estimate(
    settings: Settings,
    sizes: Mapping[str, Price] = NODE_SIZES,
    tiers: Mapping[str, float] = prices.REGISTRY_TIERS,
) -> list[Item]:
    """Returns a line for each billed part of the stack.

    Args:
        settings: the stack's configuration.
        sizes: price of each node size.
        tiers: price of each registry tier a month.

    Raises:
        UnknownPriceError: a size or tier has no price.
    """
    return list(_items(settings, sizes, tiers))


def total(items: Iterable[Item]) -> Item:
    """Returns the sum."""
    listed = list(items)
    return Item(
        "total",
        round(sum(item.monthly for item in listed), 2),
        round(sum(item.hourly for item in listed), 5),
        round(sum(item.monthly_most for item in listed), 2),
        round(sum(item.hourly_most for item in listed), 5),
    )


def _items(settings: Settings, sizes: Mapping[str, Price], tiers: Mapping[str, float]) -> Iterator[Item]:
    if settings.creates_cluster:
        for key, pool in settings.all_pools.items():
            yield _nodes(key, pool, sizes)
        plane = prices.HIGH_AVAILABILITY if settings.ha else 0
        yield Item.fixed(f"control plane{', highly available' * settings.ha}", Price.of_month(plane))
        if settings.proxy_service_type == "LoadBalancer":
            yield Item.fixed("load balancer", Price.of_month(prices.LOAD_BALANCER["REGIONAL"]))
    if settings.creates_registry:
        tier = settings.registry.tier
        if tier not in tiers:
            raise UnknownPriceError("registry.tier", tier)
        yield Item.fixed(f"registry, {tier}", Price.of_month(tiers[tier]))


def _nodes(key: str, pool: NodePool, sizes: Mapping[str, Price]) -> Item:
    """The nodes of a pool, at its smallest and at its largest number of them."""
    is_default = key == DEFAULT_POOL
    if pool.size not in sizes:
        raise UnknownPriceError("nodeSize" if is_default else f"nodePools.{key}.size", pool.size)
    price, least, most = sizes[pool.size], pool.least, pool.most
    count = f"{least}" if least == most else f"{least} to {most}"
    name = "" if is_default else f" ({key})"
    return Item(
        f"{count} node{'s' * (most > 1)} {pool.size}{name}",
        price.monthly * least,
        round(price.hourly * least, 5),
        price.monthly * most,
        round(price.hourly * most, 5),
    )


def _span(least: float, most: float, form: str) -> str:
    """Returns a price, or the prices at the smallest and at the largest number of nodes."""
    return f"{least:{form}}" if least == most else f"{least:{form}} to {most:{form}}"
