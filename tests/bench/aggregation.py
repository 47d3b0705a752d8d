"""python -m tests.bench.aggregation: one aggregated request against the same requests one after the other.

Services, aggregate and client are processes of this machine, so no way to a client is in the figures: over a real one,
each request of a sequence pays for it again. Both kinds take turns, on connections that stay open.
"""

import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import unused_port
from rich.console import Console
from rich.table import Table

from sandbox.host.paths import PROJECT

ROUNDS = 50
CASES = ((2, 0), (2, 5), (2, 20), (5, 20), (10, 20))
"""Numbers of services, and milliseconds that each takes for its answer."""


def serve(port: int) -> None:
    """A service that responds after the requested milliseconds, by default at once."""

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(int(request.match_info["milliseconds"]) / 1000)
        return web.json_response({"msg": "Hello from a microservice"})

    app = web.Application()
    app.router.add_get("/{milliseconds}", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextmanager
def aggregate(urls: Sequence[str]) -> Iterator[str]:
    """The URL of a running aggregate of services."""
    backends = {f"service{number}": {"url": url, "timeout": 10} for number, url in enumerate(urls)}
    told = {"path": "/all", "backends": backends, "identity": False, "headers": []}
    port = unused_port()
    environment = os.environ | {"AGGREGATE": json.dumps(told), "PORT": str(port)}
    with subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT / "apps" / "aggregate", env=environment) as process:
        try:
            yield f"http://127.0.0.1:{port}/all"
        finally:
            process.terminate()


async def measure(urls: Sequence[str], together: str) -> tuple[float, float]:
    """The median milliseconds of all requests one after the other, and of one to the aggregate."""
    async with ClientSession() as session:

        async def ask(url: str) -> None:
            async with session.get(url) as answer:
                assert answer.ok
                await answer.read()

        async def sequence() -> None:
            for url in urls:
                await ask(url)

        async def timed(asked: Callable[[], Awaitable[None]]) -> float:
            begun = time.perf_counter()
            await asked()
            return (time.perf_counter() - begun) * 1000

        while True:
            try:
                await asyncio.gather(sequence(), ask(together))
                break
            except ClientError:  # not listening yet
                await asyncio.sleep(0.05)
        rounds = [(await timed(sequence), await timed(lambda: ask(together))) for _ in range(ROUNDS)]
    one_by_one, at_once = zip(*rounds, strict=True)
    return statistics.median(one_by_one), statistics.median(at_once)


def main() -> None:
    table = Table("services", "each takes", "one after the other", "aggregate", "ratio")
    port = unused_port()
    service = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    service.start()
    for count, milliseconds in CASES:
        urls = [f"http://127.0.0.1:{port}/{milliseconds}"] * count
        with aggregate(urls) as together:
            sequence, once = asyncio.run(measure(urls, together))
        table.add_row(
            str(count), f"{milliseconds} ms", f"{sequence:.1f} ms", f"{once:.1f} ms", f"{sequence / once:.2f}"
        )
    service.terminate()
    Console().print(table)


if __name__ == "__main__":
    main()
