"""Load balancers: billed documents, and the forwarding that makes their addresses answer."""

import ipaddress
import socket
import uuid
from collections.abc import Sequence
from typing import Any

from sandbox.digitalocean import catalog
from sandbox.digitalocean.context import Context
from sandbox.digitalocean.errors import ApiError
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.load_balancers.health import Backends
from sandbox.host import addresses
from sandbox.host.tcp_forwarder import Route, Target, TcpForwarder

Document = dict[str, Any]
FIRST_ADDRESS = 10


class LoadBalancers:
    def __init__(self, context: Context) -> None:
        self.documents: dict[str, Document] = {}
        self._context = context
        self._leaving: set[str] = set()
        self._forwarder = TcpForwarder()
        self._routes: dict[tuple[str, int], Route] = {}
        self._backends: dict[str, Backends] = {}
        network = ipaddress.ip_network(addresses.LOAD_BALANCERS)
        self.addresses = [str(host) for host in network.hosts()][FIRST_ADDRESS - 1 :]

    def create(self, request: Document) -> Document:
        """Records and bills a load balancer; it becomes active, with an address, after the settings' delay.

        Raises:
            ApiError: the type is unknown.
        """
        kind = request.get("type") or "REGIONAL_NETWORK"
        if kind not in catalog.LOAD_BALANCER:
            raise ApiError(422, f"invalid load balancer type {kind!r}")
        identifier = str(uuid.uuid4())
        document: Document = {
            "id": identifier,
            "name": request["name"],
            "ip": "",
            "type": kind,
            "status": "new",
            "created_at": timestamp(),
            "region": catalog.region(request["region"]),
            "vpc_uuid": request.get("vpc_uuid") or catalog.default_vpc(request["region"]),
            # In DigitalOcean's Go client, not in its API description, which has only `tag`.
            "tags": request.get("tags") or [],
            "tag": "",
            "algorithm": "round_robin",
            "network": "EXTERNAL",
            "network_stack": "IPV4",
            "project_id": identifier,
            "redirect_http_to_https": False,
            "enable_backend_keepalive": False,
            "disable_lets_encrypt_dns_records": False,
            "health_check": {"protocol": "tcp", "port": 80, "path": ""},
            "sticky_sessions": {"type": "none"},
        }
        self.documents[identifier] = document
        self.update(document, request)
        self._context.scheduler.later(self._context.settings.load_balancer_create, lambda: self._activate(document))
        return document

    def update(self, document: Document, request: Document) -> None:
        """Applies what can change without a new load balancer."""
        document["name"] = request.get("name") or document["name"]
        document["forwarding_rules"] = request.get("forwarding_rules") or []
        document["enable_proxy_protocol"] = bool(request.get("enable_proxy_protocol"))
        document["droplet_ids"] = request.get("droplet_ids") or []
        document["health_check"] = request.get("health_check") or document["health_check"]
        document["size_unit"] = int(request.get("size_unit") or 1)
        price = catalog.LOAD_BALANCER[document["type"]] * document["size_unit"]
        self._context.ledger.bill("load_balancer", document["id"], document["name"], price, document["tags"])

    def _activate(self, document: Document) -> None:
        if document["id"] in self.remaining():
            taken = {other["ip"] for other in self.documents.values()}
            document["ip"] = next(address for address in self.addresses if address not in taken)
            document["status"] = "active"

    def remaining(self) -> dict[str, Document]:
        """Load balancers that aren't being deleted."""
        return {key: document for key, document in self.documents.items() if key not in self._leaving}

    def connect(self, document: Document, hosts: Sequence[str]) -> None:
        """Forwards an active load balancer's ports to those of its nodes that pass its health check.

        Raises:
            OSError: a port is taken.
        """
        address = document["ip"]
        rules = {rule["entry_port"]: rule["target_port"] for rule in document["forwarding_rules"]}
        for key in [key for key in self._routes if key[0] == address and key[1] not in rules]:
            self._forwarder.remove(self._routes.pop(key))
        for port in rules:
            if (address, port) not in self._routes:
                listener = socket.create_server((address, port), backlog=128)
                self._routes[address, port] = self._forwarder.add(listener)

        def forward(healthy: Sequence[str]) -> None:
            for port, target_port in rules.items():
                if route := self._routes.get((address, port)):
                    route.targets = [Target(host, target_port, document["enable_proxy_protocol"]) for host in healthy]

        backends = self._backends.setdefault(document["id"], Backends())
        backends.watch(hosts, document["health_check"], forward)

    def delete(self, identifier: str) -> None:
        """Stops forwarding at once; the document (and its bill) goes after the settings' delay."""
        if identifier in self._leaving:
            return
        self._leaving.add(identifier)
        if backends := self._backends.pop(identifier, None):
            backends.stop()
        address = self.documents[identifier]["ip"]
        for key in [key for key in self._routes if key[0] == address]:
            self._forwarder.remove(self._routes.pop(key))

        def vanish() -> None:
            self.documents.pop(identifier, None)
            self._leaving.discard(identifier)
            self._context.ledger.end("load_balancer", identifier)

        self._context.scheduler.later(self._context.settings.load_balancer_delete, vanish)

    def stop(self) -> None:
        for backends in self._backends.values():
            backends.stop()
        self._forwarder.stop()
