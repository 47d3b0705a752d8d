"""Prices that the API doesn't have, in US dollars a month (DigitalOcean's pricing pages)."""

BILLED_HOURS = 672
"""A month's price is reached after this many hours (pricing page of DigitalOcean Kubernetes)."""

HIGH_AVAILABILITY = 40.0
LOAD_BALANCER = {"REGIONAL": 12.0, "REGIONAL_NETWORK": 15.0, "GLOBAL": 15.0}
"""Per node of the load balancer."""
VOLUME_PER_GIB = 0.10
SNAPSHOT_PER_GIB = 0.06


def hourly(monthly: float) -> float:
    return round(monthly / BILLED_HOURS, 5)
