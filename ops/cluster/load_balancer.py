"""Kong's load balancer, where it was deleted by hand: the cluster doesn't notice."""

import time

from ops.cluster import helm_records as release
from ops.digitalocean import Api, OpsError

STAMP = "kubernetes.digitalocean.com/load-balancer-id"
"""DigitalOcean's mark on a Service that has got its load balancer."""
_SERVICE = "/api/v1/namespaces/kong/services/kong-proxy"
_POLL_SECONDS = 1


def renew(api: Api, cluster: str, seconds: float) -> str:
    """Has DigitalOcean's controller make another one; its address, which it gets within minutes.

    The controller looks after a Service when that changes, and what changes here is its own mark.

    Raises:
        OpsError: the cluster can't be asked, or `seconds` have passed.
    """
    end = time.monotonic() + seconds
    with release.connected(api, cluster) as kubernetes:
        change = {"metadata": {"annotations": {STAMP: None}}}
        patch = {"Content-Type": "application/merge-patch+json"}
        kubernetes.patch(_SERVICE, json=change, headers=patch).raise_for_status()
        while time.monotonic() < end:
            service = kubernetes.get(_SERVICE).raise_for_status().json()
            stamp = service["metadata"].get("annotations", {}).get(STAMP)
            found = api.find(f"load_balancers/{stamp}") if stamp else None
            address = found["load_balancer"].get("ip") if found else None
            # Where there is a domain, the cluster knows the load balancer by that.
            known = service["status"].get("loadBalancer", {}).get("ingress") or []
            if address and any(address == each.get("ip") or "hostname" in each for each in known):
                return str(address)
            time.sleep(_POLL_SECONDS)
    raise OpsError(f"no load balancer within {seconds:.0f} s; fix: kubectl get events -n kong says why, then again")
