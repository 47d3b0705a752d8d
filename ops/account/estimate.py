"""Price of a stack as configured."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.config.node_pools import DEFAULT_POOL, NodePool
from infra.config.settings import Settings
from ops.account import prices
from ops.account.documents import RegistryOptions, Size
from ops.digitalocean import Api
from ops.errors import OpsError


@dataclass(frozen=True)
class Item:
    """One line of the estimate; dollars.

    Attributes:
        monthly: at the smallest number of nodes, as `hourly`.
        monthly_most: at the largest number that the autoscaler may choose, as `hourly_most`.
    """

    what: str
    monthly: float
    hourly: float
    monthly_most: float
    hourly_most: float

    @classmethod
    def fixed(cls, what: str, monthly: float) -> "Item":
        hourly = prices.hourly(monthly)
        return cls(what, monthly, hourly, monthly, hourly)


def estimate(api: Api, settings: Settings) -> list[Item]:
    """Estimates with the API's prices where it has them.

    Raises:
        OpsError: a size or tier is not on offer.
    """
    items: list[Item] = []
    if settings.creates_cluster:
        sizes = {each.slug: each for each in api.list("sizes", "sizes", Size)}
        items += [_nodes(key, pool, sizes) for key, pool in settings.all_pools.items()]
        plane = prices.HIGH_AVAILABILITY if settings.ha else 0
        items.append(Item.fixed(f"control plane{', highly available' * settings.ha}", plane))
        if settings.proxy_service_type == "LoadBalancer":
            items.append(Item.fixed("load balancer", prices.LOAD_BALANCER["REGIONAL"]))
    if settings.creates_registry:
        options = api.read("registries/options", "options", RegistryOptions)
        tiers = {tier.slug: tier for tier in options.subscription_tiers}
        if settings.registry.tier not in tiers:
            raise OpsError(f'registry.tier: "{settings.registry.tier}" is not on offer; allowed: {", ".join(tiers)}')
        monthly = tiers[settings.registry.tier].monthly_price_in_cents / 100
        items.append(Item.fixed(f"registry, {settings.registry.tier}", monthly))
    return items


def _nodes(key: str, pool: NodePool, sizes: Mapping[str, Size]) -> Item:
    """The nodes of a pool, at its smallest and at its largest number of them."""
    size = sizes.get(pool.size)
    is_default = key == DEFAULT_POOL
    if size is None:
        path = "nodeSize" if is_default else f"nodePools.{key}.size"
        raise OpsError(f'{path}: "{pool.size}" is not on offer; fix: python -m ops preflight lists the sizes')
    least, most = pool.least, pool.most
    count = f"{least}" if least == most else f"{least} to {most}"
    name = "" if is_default else f" ({key})"
    return Item(
        f"{count} node{'s' * (most > 1)} {pool.size}{name}",
        size.price_monthly * least,
        round(size.price_hourly * least, 5),
        size.price_monthly * most,
        round(size.price_hourly * most, 5),
    )
