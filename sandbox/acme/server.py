"""python -m sandbox.acme.server READY: the ACME server and DNS of stacks with a domain. SIGTERM ends it.

It runs Pebble, a real ACME server, and name servers of the account's zones. Pods reach only the host side of the node's
veth pair. So it forwards from addresses there to both servers and to the load balancer.
"""

import ipaddress
import json
import signal
import socket
import sys
import threading
from pathlib import Path

import httpx
from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer

from sandbox.host.addresses import ACME_PORT, API, FIRST_LOAD_BALANCER, LOAD_BALANCERS, NODE_GATEWAY
from sandbox.host.certificate_authority import Authority
from sandbox.host.process import ANSWER_SECONDS, Child
from sandbox.host.tcp_forwarder import Target, TcpForwarder
from sandbox.toolchain.build import tool

_DNS_PORT = 7053
"""The name server for Pebble; the one for pods has the next port."""
_MANAGEMENT = 15000
ROOT = f"https://127.0.0.1:{_MANAGEMENT}/roots/0"
"""Pebble's root, new at every start."""
PROFILES = {"default": 90 * 24 * 3600, "minutes": 180}
"""Profile -> how long its certificates are valid, in seconds."""
_IP_FREEBIND = 15


class Zones(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """Answers from the account's A records; with `inside`, load balancers have the address that pods reach."""

    def __init__(self, *, inside: bool) -> None:
        self._inside = inside

    def resolve(self, request: DNSRecord, _: DNSHandler) -> DNSRecord:
        answer = httpx.get(f"{API}/_control/addresses", timeout=ANSWER_SECONDS, trust_env=False)
        known = answer.raise_for_status().json()
        reply, name = request.reply(), str(request.q.qname).rstrip(".").lower()
        if name not in known:
            reply.header.rcode = RCODE.NXDOMAIN
        elif request.q.qtype == QTYPE.A:
            for address in known[name]:
                balancer = ipaddress.ip_address(address) in ipaddress.ip_network(LOAD_BALANCERS)
                data = A(NODE_GATEWAY if self._inside and balancer else address)
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=data, ttl=1))
        return reply


def _for_pods(port: int) -> socket.socket:
    """A listener on the host side of the veth pair, which exists only while there is a cluster."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
    listener.bind((NODE_GATEWAY, port))
    listener.listen(128)
    return listener


def _start_pebble(folder: Path) -> Child:
    Authority(folder, "kong-doks acme").server("pebble", ["127.0.0.1", NODE_GATEWAY])
    described = {name: {"description": name, "validityPeriod": seconds} for name, seconds in PROFILES.items()}
    config = {
        "listenAddress": f"127.0.0.1:{ACME_PORT}",
        "managementListenAddress": f"127.0.0.1:{_MANAGEMENT}",
        "certificate": str(folder / "pebble.crt"),
        "privateKey": str(folder / "pebble.key"),
        "httpPort": 80,
        "tlsPort": 443,
        "profiles": described,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    # Pebble validates without a delay, and again for a domain that it validated before.
    environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
    command: list[str | Path] = [
        tool("pebble"),
        "-config",
        folder / "pebble.json",
        "-dnsserver",
        f"127.0.0.1:{_DNS_PORT}",
    ]
    return Child("pebble", command, environment)


def main(ready: Path) -> None:
    folder = ready.parent
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for inside, port in ((False, _DNS_PORT), (True, _DNS_PORT + 1)):
        DNSServer(Zones(inside=inside), "127.0.0.1", port, tcp=inside).start_thread()
    pebble = _start_pebble(folder)
    onward = {
        53: ("127.0.0.1", _DNS_PORT + 1),
        80: (FIRST_LOAD_BALANCER, 80),
        443: (FIRST_LOAD_BALANCER, 443),
        ACME_PORT: ("127.0.0.1", ACME_PORT),
    }
    forwarder = TcpForwarder((_for_pods(port), Target(*target)) for port, target in onward.items())
    ready.touch()
    stopping.wait()
    forwarder.stop()
    pebble.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
