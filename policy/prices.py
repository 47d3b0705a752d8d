"""Prices of DigitalOcean in US dollars an hour. A policy pack calls no API, so it has its own table."""

NODE_SIZES = {
    "s-1vcpu-2gb": 0.01786,
    "s-2vcpu-2gb": 0.02679,
    "s-2vcpu-4gb": 0.03571,
    "s-4vcpu-8gb": 0.07143,
    "s-8vcpu-16gb": 0.14286,
    "c-2": 0.0625,
    "g-2vcpu-8gb": 0.09375,
}
"""Droplet sizes of nodes (DigitalOcean's pricing page, November 2026). The pack's configuration adds others."""

HIGH_AVAILABILITY = 0.05952
LOAD_BALANCER = 0.01786
"""A regional load balancer of one node."""
REGISTRY_TIERS = {"starter": 0.0, "basic": 0.00744, "professional": 0.02976}
