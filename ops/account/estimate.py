"""Price of a stack as configured."""

from dataclasses import dataclass

from infra.config.settings import Settings
from ops.account import prices
from ops.account.documents import RegistryOptions, Size
from ops.digitalocean import Api
from ops.errors import OpsError


@dataclass(frozen=True)
class Item:
    """One line of the estimate; dollars."""

    what: str
    monthly: float
    hourly: float


def estimate(api: Api, settings: Settings) -> list[Item]:
    """Estimates with the API's prices where it has them.

    Raises:
        OpsError: a size or tier is not on offer.
    """
    items: list[Item] = []
    if settings.creates_cluster:
        size = next((each for each in api.list("sizes", "sizes", Size) if each.slug == settings.node_size), None)
        if size is None:
            raise OpsError(
                f'nodeSize: "{settings.node_size}" is not on offer; fix: python -m ops preflight lists the sizes'
            )
        count = settings.node_count
        nodes = f"{count} node{'s' * (count > 1)} {settings.node_size}"
        items.append(Item(nodes, size.price_monthly * count, round(size.price_hourly * count, 5)))
        plane = prices.HIGH_AVAILABILITY if settings.ha else 0
        items.append(Item(f"control plane{', highly available' * settings.ha}", plane, prices.hourly(plane)))
        if settings.proxy_service_type == "LoadBalancer":
            monthly = prices.LOAD_BALANCER["REGIONAL"]
            items.append(Item("load balancer", monthly, prices.hourly(monthly)))
    if settings.creates_registry:
        options = api.read("registries/options", "options", RegistryOptions)
        tiers = {tier.slug: tier for tier in options.subscription_tiers}
        if settings.registry.tier not in tiers:
            raise OpsError(f'registry.tier: "{settings.registry.tier}" is not on offer; allowed: {", ".join(tiers)}')
        monthly = tiers[settings.registry.tier].monthly_price_in_cents / 100
        items.append(Item(f"registry, {settings.registry.tier}", monthly, prices.hourly(monthly)))
    return items
