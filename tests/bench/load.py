"""Requests at a steady rate throughout an event, each on a connection of its own, and what became of them."""

import asyncio
import itertools
import ssl
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

RATE = 50
"""Requests a second."""
TIMEOUT = 10.0
"""Seconds after which a request has failed."""


@dataclass
class Client:
    """The way in which requests are sent; a change counts from the next request on."""

    scheme: str = "http"
    headers: dict[str, str] = field(default_factory=dict)
    trust: ssl.SSLContext | bool = True
    server_name: str | None = None


@dataclass(frozen=True)
class Request:
    """One request: seconds from the start of the load, and its status or the name of its error."""

    path: str
    began: float
    took: float
    outcome: str

    @property
    def served(self) -> bool:
        return self.outcome == "200"


class Load:
    """Requests to the paths in turns; `requests` are those that have ended."""

    def __init__(self, address: str, paths: Sequence[str], client: Client) -> None:
        self._address = address
        self._client = client
        self._paths = paths
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()))
        self.requests: list[Request] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when every request has ended."""
        self._stopped.set()
        self._thread.join()

    async def _send(self) -> None:
        # As many clients, not one that keeps its connections: the load balancer and Kong choose anew for each.
        connector = TCPConnector(force_close=True, limit=0)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=TIMEOUT)) as session:
            # It would repeat a GET whose connection breaks, and count one failure for two.
            session._retry_connection = False  # noqa: SLF001 -- aiohttp's own test client sets it, too; there is no option
            begin, tasks, number = time.monotonic(), set(), 0
            while not self._stopped.is_set():
                task = asyncio.create_task(self._ask(session, self._paths[number % len(self._paths)], begin))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
                await asyncio.sleep(max(begin + number / RATE - time.monotonic(), 0))
            await asyncio.gather(*tasks)

    async def _ask(self, session: ClientSession, path: str, begin: float) -> None:
        began = time.monotonic()
        try:
            async with session.get(
                f"{self._client.scheme}://{self._address}{path}",
                headers=self._client.headers,
                ssl=self._client.trust,
                server_hostname=self._client.server_name,
            ) as answer:
                await answer.read()
                outcome = str(answer.status)
        except (ClientError, TimeoutError) as error:
            outcome = type(error).__name__
        self.requests.append(Request(path, began - begin, time.monotonic() - began, outcome))


@contextmanager
def load(address: str, paths: Sequence[str], client: Client, quiet: float) -> Iterator[Load]:
    """Sends requests inside of the block, and for some quiet seconds before and after it."""
    running = Load(address, paths, client)
    running.start()
    try:
        time.sleep(quiet)
        yield running
        time.sleep(quiet)
    finally:
        running.stop()


def figures(requests: Sequence[Request]) -> dict[str, Any]:
    """Sums up: milliseconds of the served requests, and seconds between two that were served after one another."""
    served = sorted((request for request in requests if request.served), key=lambda request: request.began)
    failures = [request for request in requests if not request.served]
    ended = [0.0, *(request.began for request in served), max(request.began for request in requests)]
    times = [request.took * 1000 for request in served]
    quantiles = statistics.quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
    return {
        "requests": len(requests),
        "failures": len(failures),
        "p50": round(quantiles[49], 1),
        "p99": round(quantiles[98], 1),
        "gap": round(max(after - before for before, after in itertools.pairwise(ended)), 2),
        "failing": round(max(r.began for r in failures) - min(r.began for r in failures), 1) if failures else 0.0,
        "outcomes": dict(Counter(request.outcome for request in failures)),
    }
