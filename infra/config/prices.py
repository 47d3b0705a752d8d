"""DigitalOcean's prices in US dollars a month (its pricing pages, November 2026).

The policy pack uses them too. Its environment lacks the program's packages, so this module imports none.
"""

NODE_SIZES = {
    "s-1vcpu-2gb": 12.0,
    "s-2vcpu-2gb": 18.0,
    "s-2vcpu-4gb": 24.0,
    "s-4vcpu-8gb": 48.0,
    "s-8vcpu-16gb": 96.0,
    "c-2": 42.0,
    "g-2vcpu-8gb": 63.0,
}
REGISTRY_TIERS = {"starter": 0.0, "basic": 5.0, "professional": 20.0}
"""The program uses these two tables, since it requests no prices. `ops` reads the prices from the API."""

BILLED_HOURS = 672
"""A month's price is reached after this many hours (pricing page of DigitalOcean Kubernetes)."""

HIGH_AVAILABILITY = 40.0
HIGH_AVAILABILITY_FROM = (1, 36)
"""Kubernetes version from which DigitalOcean makes a control plane highly available if `ha` is left out."""
LOAD_BALANCER = {"REGIONAL": 12.0, "REGIONAL_NETWORK": 15.0, "GLOBAL": 15.0}
"""Per node of the load balancer."""
VOLUME_PER_GIB = 0.10
SNAPSHOT_PER_GIB = 0.06


def hourly(monthly: float) -> float:
    return round(monthly / BILLED_HOURS, 5)
