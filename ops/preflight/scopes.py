"""Checks that the token has the scopes that the stack needs."""

from http import HTTPStatus
from typing import Any, NamedTuple

from infra.config.settings import Settings
from ops.digitalocean import Api, ApiError
from ops.preflight.check import Check

_NONEXISTENT_ID = "00000000-0000-4000-8000-000000000000"
_CLUSTER = f"kubernetes/clusters/{_NONEXISTENT_ID}"


class Probe(NamedTuple):
    """A call that changes nothing: it reads, or it is invalid and refused for that or for a missing scope."""

    method: str
    path: str
    body: dict[str, Any] | None = None


READING = {
    "account:read": Probe("GET", "account"),
    "sizes:read": Probe("GET", "sizes"),
    "regions:read": Probe("GET", "regions"),
    "actions:read": Probe("GET", "actions"),
    "tag:read": Probe("GET", "tags"),
    "kubernetes:read": Probe("GET", "kubernetes/options"),
    "droplet:read": Probe("GET", "droplets"),
    "load_balancer:read": Probe("GET", "load_balancers"),
    "block_storage:read": Probe("GET", "volumes"),
    "block_storage_snapshot:read": Probe("GET", "snapshots"),
    "snapshot:read": Probe("GET", "snapshots"),
}
"""Scopes for every stack. DigitalOcean's panel adds regions, sizes and actions to kubernetes:create, but not tags."""
CLUSTER = {
    "kubernetes:create": Probe("POST", "kubernetes/clusters", {}),
    "kubernetes:update": Probe("PUT", _CLUSTER, {}),
    "kubernetes:delete": Probe("DELETE", _CLUSTER),
    "kubernetes:access_cluster": Probe("GET", f"{_CLUSTER}/credentials"),
}
REGISTRY = {
    "registry:read": Probe("GET", "registries"),
    "registry:create": Probe("POST", "registries", {}),
    "registry:update": Probe("POST", f"registries/{_NONEXISTENT_ID}/garbage-collection", {}),
    "registry:delete": Probe("DELETE", f"registries/{_NONEXISTENT_ID}"),
}
VPC = {
    "vpc:read": Probe("GET", "vpcs"),
    "vpc:create": Probe("POST", "vpcs", {}),
    "vpc:update": Probe("PUT", f"vpcs/{_NONEXISTENT_ID}", {}),
    "vpc:delete": Probe("DELETE", f"vpcs/{_NONEXISTENT_ID}"),
}
"""Scopes for a private network that the stack creates."""
_RECORD = "domains/nowhere.invalid/records/0"
DOMAIN = {
    "domain:read": Probe("GET", "domains"),
    "domain:create": Probe("POST", "domains", {}),
    "domain:update": Probe("PUT", _RECORD, {}),
    "domain:delete": Probe("DELETE", _RECORD),
}


def check(api: Api, settings: Settings) -> Check:
    probes = READING | CLUSTER
    if settings.uses_digitalocean_registry:
        probes |= REGISTRY
    if settings.tls:
        probes |= DOMAIN
    if settings.vpc:
        probes |= VPC if settings.vpc.name else {"vpc:read": VPC["vpc:read"]}
    missing = [scope for scope, probe in probes.items() if not _is_allowed(api, probe)]
    if missing:
        return Check("scopes", False, f"missing: {', '.join(missing)}", "a token with these scopes too")
    return Check("scopes", True, f"all {len(probes)}")


def _is_allowed(api: Api, probe: Probe) -> bool:
    try:
        api.call(probe.method, probe.path, probe.body)
    except ApiError as error:
        if error.status in (0, HTTPStatus.TOO_MANY_REQUESTS) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return error.status != HTTPStatus.FORBIDDEN
    return True
