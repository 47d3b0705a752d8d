"""python -m tests.bench.availability: requests that fail while the stack changes or something in it breaks.

The real engine, Kubernetes, ingress controller and pods of the sandbox; load balancer and proxy are its stand-ins. Each
event is measured alone: requests to /foo and /bar begin before it and end after it.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from sandbox.host.paths import PROJECT
from tests.bench import availability_page as page
from tests.bench.events import EVENTS, Event
from tests.bench.lab import SETUPS, Lab
from tests.bench.load import RATE, Request, figures, load
from tests.bench.report import commit
from tests.e2e.stack import control, copy_checkout
from tests.support import eventually, sandbox_command

RESULTS = PROJECT / "tests" / "bench" / "availability.json"
QUIET = 3.0
"""Seconds of requests before and after each event."""
NODE = 20.0
"""Seconds until a new node runs. DigitalOcean's takes minutes: in both cases the load balancer has it by then."""
PATHS = ("/foo", "/bar")


@contextmanager
def running(setup: str) -> Iterator[Lab]:
    """The stack on a sandbox of its own."""
    sandbox_command("start")
    try:
        if SETUPS[setup].get("gateway"):
            sandbox_command("image", "valkey")
        with tempfile.TemporaryDirectory() as folder:
            copy_checkout(Path(folder), without=("sandbox/", "tests/"))
            control("PUT", "settings", json={"node_create": NODE})
            lab = Lab(Path(folder), setup)
            lab.change()
            yield lab
    finally:
        sandbox_command("stop")


def measure(lab: Lab, event: Event) -> list[Request]:
    event.prepare(lab)
    with load(lab.address, PATHS, lab.client, QUIET) as running:
        event.act(lab)
        eventually(lambda: lab.is_whole() and all(request.served for request in running.requests[-RATE:]), 180)
    return sorted(running.requests, key=lambda request: request.began)


def main() -> int:
    """Returns 1 if an event couldn't be measured; the others are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup", choices=SETUPS, action="append", help="by default each")
    parser.add_argument("--event", choices=EVENTS, action="append", help="by default each")
    chosen = parser.parse_args()
    console = Console(highlight=False)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = 0

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    for setup in chosen.setup or SETUPS:
        with running(setup) as lab:
            for name, event in EVENTS.items():
                if setup not in event.setups or name not in (chosen.event or EVENTS):
                    continue
                try:
                    lab.settle()
                    requests = measure(lab, event)
                except (AssertionError, IndexError, OSError, httpx.HTTPError) as error:
                    say(f"{setup}: {name}: not measured: {error!r}")
                    failed = 1
                else:
                    _keep(results, setup, name, requests)
                    for request in requests:
                        if not request.served:
                            say(f"{request.began:6.2f} s: {request.path} {request.outcome} after {request.took:.2f} s")
                    say(f"{setup}: {name}: {results[setup][name]}")
    console.print(page.tables(results), markup=False)
    return failed


def _keep(results: dict[str, Any], setup: str, event: str, requests: list[Request]) -> None:
    """Writes an event's figures into the file of results, and into the page."""
    results.setdefault(setup, {})[event] = figures(requests) | {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": round(requests[-1].began - 2 * QUIET, 1),
        "load": round(os.getloadavg()[1], 1),
        "commit": commit(),
    }
    results[setup] = {name: results[setup][name] for name in EVENTS if name in results[setup]}
    results |= {
        "rate": RATE,
        "machine": f"{os.cpu_count()} processors, Linux {platform.release().partition('-')[0]}",
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    page.write(results)


if __name__ == "__main__":
    sys.exit(main())
