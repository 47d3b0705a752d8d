"""The cloud controller: a Service of type LoadBalancer gets a load balancer, which is deleted with the Service.

It lives with the control plane. A cluster that is deleted first leaves its load balancers behind, as on DigitalOcean.
"""

import logging
import ssl
import threading
from abc import ABC, abstractmethod
from typing import Any

import httpx

from sandbox.digitalocean.context import Scheduler
from sandbox.digitalocean.errors import ApiError
from sandbox.digitalocean.kubernetes.records import KubernetesLike
from sandbox.digitalocean.load_balancers.health import HEALTH_CHECK
from sandbox.digitalocean.load_balancers.models import LoadBalancers
from sandbox.host.process import ANSWER_SECONDS

Document = dict[str, Any]
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
PREFIX = "service.beta.kubernetes.io/do-loadbalancer-"
STAMP = "kubernetes.digitalocean.com/load-balancer-id"
NAME_LENGTH = 32
KUBE_PROXY_HEALTH = 10256
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
GOING_BY_AUTOSCALER = "ToBeDeletedByClusterAutoscaler"
HEALTH_NUMBERS = {
    "check_interval_seconds": 3,
    "response_timeout_seconds": 3,
    "unhealthy_threshold": 2,
    "healthy_threshold": 2,
}
"""The least that DigitalOcean takes."""
_CHANGEABLE = ("forwarding_rules", "enable_proxy_protocol", "size_unit", "droplet_ids", "health_check")
logger = logging.getLogger(__name__)


def client(kubernetes: KubernetesLike) -> httpx.Client:
    """A client of the cluster's API with the cloud's own rights."""
    trust = ssl.create_default_context(cadata=kubernetes.ca_pem.decode())
    bearer = {"Authorization": f"Bearer {kubernetes.admin_token}"}
    return httpx.Client(
        base_url=kubernetes.server, verify=trust, headers=bearer, timeout=ANSWER_SECONDS, trust_env=False
    )


class Loop(ABC):
    """Looks at a cluster every `interval` seconds, from `start` to `stop`."""

    def __init__(self, kubernetes: httpx.Client, interval: float) -> None:
        self._kubernetes = kubernetes
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)
        self._kubernetes.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            self.look()

    @abstractmethod
    def look(self) -> None:
        """Looks once. What fails is tried again at the next look."""

    def _items(self, path: str) -> list[Document]:
        items: list[Document] = self._kubernetes.get(path).raise_for_status().json()["items"]
        return items

    def _merge(self, path: str, change: Document) -> Document:
        """Applies a merge patch to an object and returns it."""
        headers = {"Content-Type": "application/merge-patch+json"}
        patched: Document = self._kubernetes.patch(path, json=change, headers=headers).raise_for_status().json()
        return patched


class ServiceController(Loop):
    """Gives Services their load balancers."""

    def __init__(
        self,
        scheduler: Scheduler,
        load_balancers: LoadBalancers,
        cluster: Document,
        kubernetes: httpx.Client,
        interval: float = 0.5,
    ) -> None:
        super().__init__(kubernetes, interval)
        self._scheduler = scheduler
        self._load_balancers = load_balancers
        self._cluster = cluster
        self._warnings: dict[str, str] = {}
        self._settled: dict[str, str] = {}
        """By the uid of a Service: its resource version when it had its load balancer and nothing was left to do."""

    def look(self) -> None:
        try:
            services = self._items("/api/v1/services")
            nodes = self._items("/api/v1/nodes")
        except httpx.HTTPError as error:
            self._warn("the cluster", error)
            return
        for service in services:
            name = f"Service {service['metadata']['namespace']}/{service['metadata']['name']}"
            try:
                self._reconcile(service, nodes)
                self._warnings.pop(name, None)
            except (httpx.HTTPError, ApiError, OSError) as error:
                self._warn(name, error)

    def _warn(self, about: str, error: Exception) -> None:
        if self._warnings.get(about) != str(error):
            self._warnings[about] = str(error)
            logger.warning("%s: %s", about, error)

    def _reconcile(self, service: Document, nodes: list[Document]) -> None:
        metadata, spec = service["metadata"], service["spec"]
        finalizers = metadata.get("finalizers", [])
        is_balanced = spec["type"] == "LoadBalancer" and not spec.get("loadBalancerClass")
        if not is_balanced or "deletionTimestamp" in metadata:
            if FINALIZER in finalizers:
                self._release(service)
            return
        if FINALIZER not in finalizers:
            service = self._patch(service, {"metadata": {"finalizers": [*finalizers, FINALIZER]}})
        with self._scheduler.lock:
            balancer = self._ensure(service, nodes)
            if balancer is None:
                return
            stamps = {STAMP: balancer["id"], f"{PREFIX}type": balancer["type"]}
            is_stamped = stamps.items() <= service["metadata"].get("annotations", {}).items()
            active, hosts = balancer["status"] == "active", _addresses(nodes)
            if active and hosts:
                self._load_balancers.connect(balancer, hosts)
        if not is_stamped:
            self._patch(service, {"metadata": {"annotations": stamps}})
        if active and hosts:
            self._publish(service, balancer["ip"])
            if is_stamped:
                self._settled[metadata["uid"]] = metadata["resourceVersion"]

    def _ensure(self, service: Document, nodes: list[Document]) -> Document | None:
        """Returns the Service's load balancer, up to date: found by its annotation or name, else created.

        None: it had one, which somebody deleted. As on DigitalOcean that is noticed when the Service changes.
        """
        request = self._request(service, nodes)
        balancer = self._find(service, request["name"])
        if balancer is None and self._settled.get(service["metadata"]["uid"]) == service["metadata"]["resourceVersion"]:
            return None
        if balancer is None:
            return self._load_balancers.create(request)
        if balancer["type"] != request["type"]:
            raise ApiError(422, f"a load balancer's type can't change from {balancer['type']} to {request['type']}")
        if any(balancer[key] != request[key] for key in _CHANGEABLE):
            self._load_balancers.update(balancer, request)
        return balancer

    def _find(self, service: Document, name: str) -> Document | None:
        """Returns the Service's load balancer by its id; by its name only if the Service has no id."""
        existing = self._load_balancers.remaining()
        if stamp := service["metadata"].get("annotations", {}).get(STAMP):
            return existing.get(stamp)
        return next((balancer for balancer in existing.values() if balancer["name"] == name), None)

    def _name(self, service: Document) -> str:
        metadata = service["metadata"]
        default = f"a{metadata['uid'].replace('-', '')}"[:NAME_LENGTH]
        return str(metadata.get("annotations", {}).get(f"{PREFIX}name") or default)

    def _request(self, service: Document, nodes: list[Document]) -> Document:
        annotations = service["metadata"].get("annotations", {})
        kind = annotations.get(f"{PREFIX}type") or "REGIONAL_NETWORK"
        proxied = kind == "REGIONAL"
        droplets = [
            int(node["spec"].get("providerID", "").rpartition("/")[2] or 0) for node in nodes if _is_backend(node)
        ]
        return {
            "name": self._name(service),
            "region": self._cluster["region"],
            "vpc_uuid": self._cluster.get("vpc_uuid"),
            "type": kind,
            "tags": [f"k8s:{self._cluster['id']}"],
            "size_unit": int(annotations.get(f"{PREFIX}size-unit") or 1),
            "droplet_ids": droplets,
            "health_check": HEALTH_CHECK | {"port": _health_port(service)} | _health_numbers(annotations),
            "enable_proxy_protocol": proxied and annotations.get(f"{PREFIX}enable-proxy-protocol") == "true",
            "forwarding_rules": [
                {
                    "entry_protocol": "tcp",
                    "entry_port": port["port"],
                    "target_protocol": "tcp",
                    # The network type passes packets through: the node must answer on the Service's own port.
                    "target_port": port.get("nodePort", port["port"]) if proxied else port["port"],
                    "certificate_id": "",
                    "tls_passthrough": False,
                }
                for port in service["spec"]["ports"]
                if port.get("protocol", "TCP") == "TCP"
            ],
        }

    def _publish(self, service: Document, address: str) -> None:
        hostname = service["metadata"].get("annotations", {}).get(f"{PREFIX}hostname")
        # Without an ipMode, as DigitalOcean's: from inside the cluster the address leads past the load balancer.
        ingress = [{"hostname": hostname}] if hostname else [{"ip": address, "ipMode": "VIP"}]
        if service.get("status", {}).get("loadBalancer", {}).get("ingress") != ingress:
            self._patch(service, {"status": {"loadBalancer": {"ingress": ingress}}}, "/status")

    def _release(self, service: Document) -> None:
        """Deletes the load balancer, then lets the Service go."""
        metadata = service["metadata"]
        with self._scheduler.lock:
            if balancer := self._find(service, self._name(service)):
                self._load_balancers.delete(balancer["id"])
        if "deletionTimestamp" not in metadata:
            # The annotations stay.
            service = self._patch(service, {"status": {"loadBalancer": {"ingress": None}}}, "/status")
        self._patch(service, {"metadata": {"finalizers": [f for f in metadata["finalizers"] if f != FINALIZER]}})

    def _patch(self, service: Document, change: Document, subresource: str = "") -> Document:
        metadata = service["metadata"]
        if "finalizers" in change.get("metadata", {}):
            # A merge patch replaces the list: only if nobody else has changed it since.
            change["metadata"]["resourceVersion"] = metadata["resourceVersion"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}{subresource}"
        return self._merge(path, change)


def _addresses(nodes: list[Document]) -> list[str]:
    """The nodes' addresses, as the load balancer reaches them."""
    return [
        address["address"]
        for node in nodes
        if _is_backend(node)
        for address in node["status"].get("addresses", [])
        if address["type"] == "InternalIP"
    ]


def _is_backend(node: Document) -> bool:
    """Reports whether a node belongs to load balancers. One that isn't ready does: the health check finds out."""
    metadata = node.get("metadata", {})
    taints = {taint["key"] for taint in node["spec"].get("taints", [])}
    return not (
        metadata.get("deletionTimestamp") or EXCLUDED in metadata.get("labels", {}) or GOING_BY_AUTOSCALER in taints
    )


def _health_numbers(annotations: Document) -> Document:
    """The health check's numbers from annotations. Raises ApiError: a number that DigitalOcean refuses."""
    numbers = {}
    for name, least in HEALTH_NUMBERS.items():
        if value := annotations.get(f"{PREFIX}healthcheck-{name.replace('_', '-')}"):
            if not value.isdecimal() or int(value) < least:
                raise ApiError(422, f"health_check.{name}: must be at least {least}")
            numbers[name] = int(value)
    return numbers


def _health_port(service: Document) -> int:
    """The port of the health check: kube-proxy's, or that of the Service's local pods."""
    spec = service["spec"]
    return int(spec["healthCheckNodePort"] if spec.get("externalTrafficPolicy") == "Local" else KUBE_PROXY_HEALTH)
