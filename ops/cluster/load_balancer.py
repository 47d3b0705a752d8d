"""Replaces Kong's load balancer after it was deleted by hand, which the cluster doesn't notice."""

import time

from infra.config.load_balancer import ID_ANNOTATION
from ops.account.documents import LoadBalancer
from ops.cluster.client import Kubernetes
from ops.digitalocean import Api, segment
from ops.errors import OpsError

_SERVICE = "/api/v1/namespaces/kong/services/kong-proxy"
_POLL_SECONDS = 1


def renew(api: Api, kubernetes: Kubernetes, seconds: float) -> str:
    """Makes DigitalOcean's controller create a load balancer, and returns its address within minutes.

    The controller reconciles a Service object when that changes; here its own annotation does.

    Raises:
        OpsError: `seconds` have passed.
    """
    end = time.monotonic() + seconds
    kubernetes.merge(_SERVICE, {"metadata": {"annotations": {ID_ANNOTATION: None}}})
    while time.monotonic() < end:
        service = kubernetes.get(_SERVICE)
        identifier = (service["metadata"].get("annotations") or {}).get(ID_ANNOTATION)
        balancer = (
            api.find(f"load_balancers/{segment(identifier)}", "load_balancer", LoadBalancer) if identifier else None
        )
        # With a domain, the Service's status has the load balancer's host name.
        ingresses = service["status"].get("loadBalancer", {}).get("ingress") or []
        if (
            balancer
            and balancer.ip
            and any(balancer.ip == ingress.get("ip") or "hostname" in ingress for ingress in ingresses)
        ):
            return balancer.ip
        time.sleep(_POLL_SECONDS)
    raise OpsError(f"no load balancer within {seconds:.0f} s; fix: see kubectl get events -n kong, then try again")
