"""Price of a stack as configured, with the API's prices where it has them."""

from infra.config import cost
from infra.config.settings import Settings
from ops.account.documents import RegistryOptions, Size
from ops.digitalocean import Api
from ops.errors import OpsError


def estimate(api: Api, settings: Settings) -> list[cost.Item]:
    """Estimates what the stack costs.

    Raises:
        OpsError: a size or tier is not on offer.
    """
    sizes: dict[str, cost.Price] = {}
    tiers: dict[str, float] = {}
    if settings.creates_cluster:
        offered = api.list("sizes", "sizes", Size)
        sizes = {size.slug: cost.Price(size.price_monthly, size.price_hourly) for size in offered}
    if settings.creates_registry:
        options = api.read("registries/options", "options", RegistryOptions)
        tiers = {tier.slug: tier.monthly_price_in_cents / 100 for tier in options.subscription_tiers}
    try:
        return cost.estimate(settings, sizes, tiers)
    except cost.UnknownPriceError as error:
        is_tier = error.key == "registry.tier"
        advice = f"allowed: {', '.join(tiers)}" if is_tier else "fix: python -m ops preflight lists the sizes"
        raise OpsError(f'{error.key}: "{error.value}" is not on offer; {advice}') from None
