"""What a stack will cost, before there is anything of it."""

from dataclasses import dataclass

from ops.account import prices
from ops.digitalocean import Api, OpsError
from ops.pulumi.stack import Settings


@dataclass(frozen=True)
class Item:
    """One line of the estimate; dollars."""

    what: str
    monthly: float
    hourly: float


def estimate(api: Api, settings: Settings) -> list[Item]:
    """The stack as configured, by the API's prices where it has them.

    Raises:
        OpsError: a size or tier that isn't on offer.
    """
    items: list[Item] = []
    if settings.makes_cluster:
        size = next((s for s in api.all("sizes", "sizes") if s["slug"] == settings.node_size), None)
        if size is None:
            raise OpsError(
                f'kong-doks:nodeSize: "{settings.node_size}" is not on offer; fix: python -m ops preflight says what is'
            )
        count = settings.node_count
        nodes = f"{count} node{'s' * (count > 1)} {settings.node_size}"
        items.append(Item(nodes, size["price_monthly"] * count, round(size["price_hourly"] * count, 5)))
        plane = prices.HIGH_AVAILABILITY if settings.ha else 0
        items.append(Item(f"control plane{', highly available' * settings.ha}", plane, prices.hourly(plane)))
        if settings.proxy_service_type == "LoadBalancer":
            monthly = prices.LOAD_BALANCER["REGIONAL"]
            items.append(Item("load balancer", monthly, prices.hourly(monthly)))
    if settings.makes_registry:
        tiers = {tier["slug"]: tier for tier in api.get("registries/options")["options"]["subscription_tiers"]}
        if settings.registry.tier not in tiers:
            raise OpsError(
                f'kong-doks:registry.tier: "{settings.registry.tier}" is not on offer; allowed: {", ".join(tiers)}'
            )
        monthly = tiers[settings.registry.tier]["monthly_price_in_cents"] / 100
        items.append(Item(f"registry, {settings.registry.tier}", monthly, prices.hourly(monthly)))
    return items
