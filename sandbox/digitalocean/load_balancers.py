"""Load balancers: billed records, and the forwarding that makes their addresses answer."""

import asyncio
import ipaddress
import socket
import struct
import threading
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError
from sandbox.digitalocean.ledger import timestamp
from sandbox.host import addresses
from sandbox.host.tcp_forwarder import both_ways

if TYPE_CHECKING:
    from sandbox.digitalocean.account import Cloud

Document = dict[str, Any]
FIRST_ADDRESS = 10


@dataclass(frozen=True)
class Target:
    """Where one port of a load balancer leads."""

    host: str
    port: int
    proxy_protocol: bool


class Forwarder:
    """Listens on (address, port) pairs and passes bytes on; one event loop in a thread of its own."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, int], Target] = {}
        self._servers: dict[tuple[str, int], asyncio.Server] = {}
        # The event loop itself keeps no connection whose client has said its last from being garbage.
        self._connections: set[asyncio.Task[None] | None] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    def serve(self, address: str, targets: dict[int, Target]) -> None:
        """Makes exactly these ports of the address lead to their targets. Raises OSError: a port is taken."""
        self._run(self._serve(address, targets))

    async def _serve(self, address: str, targets: dict[int, Target]) -> None:
        for key in [key for key in self._servers if key[0] == address and key[1] not in targets]:
            self._servers.pop(key).close()
            del self._targets[key]
        for port, target in targets.items():
            self._targets[address, port] = target
            if (address, port) not in self._servers:
                self._servers[address, port] = await asyncio.start_server(self._relay, address, port)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        self._connections.add(connection)
        try:
            await self._pass_on(reader, writer)
        finally:
            self._connections.discard(connection)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here, peer = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
        target = self._targets.get((here[0], here[1]))
        try:
            if target is None:
                return
            far_reader, far = await asyncio.wait_for(asyncio.open_connection(target.host, target.port), timeout=5)
        except (OSError, TimeoutError):
            # Behind a real one the client would see a refusal; closing as usual would look like an empty answer.
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        try:
            if target.proxy_protocol:
                far.write(f"PROXY TCP4 {peer[0]} {here[0]} {peer[1]} {here[1]}\r\n".encode())
            await both_ways((reader, writer), (far_reader, far))
        except* OSError:
            pass  # one of the ends broke off
        finally:
            far.close()
            writer.close()

    def stop(self) -> None:
        for address in {key[0] for key in self._servers}:
            self.serve(address, {})
        self._loop.call_soon_threadsafe(self._loop.stop)


class LoadBalancers:
    def __init__(self, cloud: "Cloud") -> None:
        self.documents: dict[str, Document] = {}
        self._cloud = cloud
        self._leaving: set[str] = set()
        self._forwarder = Forwarder()
        network = ipaddress.ip_network(addresses.LOAD_BALANCERS)
        self.addresses = [str(host) for host in network.hosts()][FIRST_ADDRESS - 1 :]

    def create(self, request: Document) -> Document:
        """Records and bills a load balancer; it becomes active, with an address, after the settings' delay.

        Raises:
            ApiError: the account's limit is reached, or the type is unknown.
        """
        cloud = self._cloud
        if len(self.documents) >= cloud.settings.load_balancer_limit:
            raise ApiError(422, "you have reached the load balancer limit of your account")
        kind = request.get("type") or "REGIONAL_NETWORK"
        if kind not in catalog.LOAD_BALANCER:
            raise ApiError(422, f"invalid load balancer type {kind!r}")
        document: Document = {
            "id": str(uuid.uuid4()),
            "name": request["name"],
            "ip": "",
            "type": kind,
            "size_unit": int(request.get("size_unit") or 1),
            "status": "new",
            "created_at": timestamp(),
            "region": cloud.region(request["region"]),
            "vpc_uuid": request.get("vpc_uuid") or cloud.default_vpc(request["region"])["id"],
            "tags": request.get("tags") or [],
            "tag": "",
            "droplet_ids": request.get("droplet_ids") or [],
            "algorithm": "round_robin",
            "network": "EXTERNAL",
            "network_stack": "IPV4",
            "project_id": self._cloud.uuid,
            "redirect_http_to_https": False,
            "enable_backend_keepalive": False,
            "disable_lets_encrypt_dns_records": False,
            "health_check": {"protocol": "tcp", "port": 80, "path": ""},
            "sticky_sessions": {"type": "none"},
        }
        self.documents[document["id"]] = document
        self.update(document, request)
        cloud.later(cloud.settings.load_balancer_create, lambda: self._activate(document))
        return document

    def update(self, document: Document, request: Document) -> None:
        """Takes over what can change without a new load balancer."""
        document["forwarding_rules"] = request.get("forwarding_rules") or []
        document["enable_proxy_protocol"] = bool(request.get("enable_proxy_protocol"))
        document["size_unit"] = int(request.get("size_unit") or 1)
        price = catalog.LOAD_BALANCER[document["type"]] * document["size_unit"]
        self._cloud.ledger.bill("load_balancer", document["id"], document["name"], price, document["tags"])

    def _activate(self, document: Document) -> None:
        if document["id"] in self.remaining():
            taken = {other["ip"] for other in self.documents.values()}
            document["ip"] = next(address for address in self.addresses if address not in taken)
            document["status"] = "active"

    def remaining(self) -> dict[str, Document]:
        """Those that nobody has deleted."""
        return {key: document for key, document in self.documents.items() if key not in self._leaving}

    def connect(self, document: Document, host: str) -> None:
        """Forwards an active load balancer's ports to the node. Raises OSError: a port is taken."""
        proxy_protocol = document["enable_proxy_protocol"]
        rules = document["forwarding_rules"]
        targets = {rule["entry_port"]: Target(host, rule["target_port"], proxy_protocol) for rule in rules}
        self._forwarder.serve(document["ip"], targets)

    def delete(self, identifier: str) -> None:
        """Stops forwarding at once; the record (and its bill) goes after the settings' delay."""
        document = self.documents[identifier]
        if identifier in self._leaving:
            return
        self._leaving.add(identifier)
        if document["ip"]:
            self._forwarder.serve(document["ip"], {})

        def vanish() -> None:
            self.documents.pop(identifier, None)
            self._leaving.discard(identifier)
            self._cloud.ledger.end("load_balancer", identifier)

        self._cloud.later(self._cloud.settings.load_balancer_delete, vanish)

    def stop(self) -> None:
        self._forwarder.stop()
