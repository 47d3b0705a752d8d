"""Requests of the pods of the stack's own components, and Kong's limits."""

from collections.abc import Mapping

from infra.config.types import quantity

Requests = Mapping[str, str]
KONG: Requests = {"cpu": "40m", "memory": "128Mi"}
KONG_CONTROLLER: Requests = {"cpu": "10m", "memory": "96Mi"}
RATE_LIMIT_STORE: Requests = {"cpu": "10m", "memory": "16Mi"}
METRICS_SERVER: Requests = {"cpu": "20m", "memory": "48Mi"}
PROMETHEUS: Requests = {"cpu": "20m", "memory": "48Mi"}
GRAFANA: Requests = {"cpu": "20m", "memory": "64Mi"}
CERT_MANAGER: Mapping[str, Requests] = {
    "controller": {"cpu": "10m", "memory": "32Mi"},
    "webhook": {"cpu": "10m", "memory": "16Mi"},
    "cainjector": {"cpu": "10m", "memory": "24Mi"},
}
"""So small that they fit on the smallest node beside DigitalOcean's own pods; limits are what a busy pod needs."""

KONG_LIMITS: Requests = {"cpu": "1", "memory": "512Mi"}
KONG_CONTROLLER_LIMITS: Requests = {"cpu": "500m", "memory": "192Mi"}


def total(*containers: Requests) -> Mapping[str, float]:
    """Returns the sum for a pod, in cores and bytes."""
    return {name: sum(quantity(container[name]) for container in containers) for name in ("cpu", "memory")}
