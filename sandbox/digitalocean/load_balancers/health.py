"""Health checks of a load balancer: which of its nodes get connections."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

HEALTH_CHECK: dict[str, Any] = {
    "protocol": "http",
    "port": 80,
    "path": "/healthz",
    "check_interval_seconds": 3,
    "response_timeout_seconds": 5,
    "unhealthy_threshold": 3,
    "healthy_threshold": 5,
}
"""The health check that DigitalOcean's cloud controller requests, but for the port."""

_FIRST_SECONDS = 0.5
"""Between checks of a new load balancer."""

Document = Mapping[str, Any]


@dataclass
class _Backend:
    healthy: bool = False
    row: int = 0
    """Checks in a row that contradict `healthy`."""


class Backends:
    """The nodes of one load balancer.

    The first one gets connections as soon as a check passes. One that is added later, or comes back, has to pass as
    many as the load balancer asks for; one that fails as many in a row gets no more connections.
    """

    def __init__(self) -> None:
        self._backends: dict[str, _Backend] = {}
        self._began = False
        self._check: Document = {}
        self._forward: Callable[[Sequence[str]], None] = lambda _: None
        self._stopped = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._client = httpx.Client(trust_env=False)

    def watch(self, hosts: Sequence[str], check: Document, forward: Callable[[Sequence[str]], None]) -> None:
        """Takes the nodes from now on; `forward` gets the healthy ones, now and whenever they change."""
        with self._changing:
            self._check, self._forward = check, forward
            self._backends = {host: self._backends.get(host, _Backend()) for host in hosts}
            if not self._began:
                self._count(self._probe(hosts))
            self._forward_to_healthy()
        if not self._thread.is_alive() and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._check["check_interval_seconds"] if self._began else _FIRST_SECONDS):
            self.check_once()

    def check_once(self) -> None:
        """Checks every node, and forwards if the healthy ones have changed."""
        probed = self._probe(list(self._backends))
        with self._changing:
            self._count(probed)
            self._forward_to_healthy()

    def _count(self, probed: Mapping[str, bool]) -> None:
        for host, passed in probed.items():
            if backend := self._backends.get(host):
                backend.row = 0 if passed == backend.healthy else backend.row + 1
                threshold = self._check["unhealthy_threshold" if backend.healthy else "healthy_threshold"]
                if backend.row >= (threshold if self._began else 1):
                    backend.healthy, backend.row = passed, 0
        self._began = self._began or any(backend.healthy for backend in self._backends.values())

    def _forward_to_healthy(self) -> None:
        self._forward([host for host, backend in self._backends.items() if backend.healthy])

    def _probe(self, hosts: Sequence[str]) -> dict[str, bool]:
        if not hosts:
            return {}
        with ThreadPoolExecutor(len(hosts)) as threads:
            return dict(zip(hosts, threads.map(self._passes, hosts), strict=True))

    def _passes(self, host: str) -> bool:
        url = f"http://{host}:{self._check['port']}{self._check['path']}"
        try:
            return self._client.get(url, timeout=self._check["response_timeout_seconds"]).is_success
        except httpx.HTTPError:
            return False
