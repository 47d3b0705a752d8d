"""What `make up` and `make down` show: the tutorial as one stack, by the real commands and real requests."""

import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from sandbox.addresses import API
from sandbox.environment import environment
from sandbox.paths import PROJECT, RUN

STACK = "sandbox"
KUBECONFIG = RUN / "kubeconfig"


class TourError(Exception):
    """A command of the tour failed; it has said why itself."""


def pulumi(*arguments: str, folder: Path = PROJECT) -> None:
    """Runs pulumi with its output on the terminal.

    Raises:
        TourError: it failed.
    """
    if subprocess.run(["pulumi", *arguments], cwd=folder, env=os.environ | environment(), check=False).returncode:
        raise TourError(f"pulumi {shlex.join(arguments)} failed")


def output(*arguments: str, folder: Path = PROJECT) -> str:
    return subprocess.run(
        ["pulumi", "stack", "output", *arguments],
        cwd=folder,
        env=os.environ | environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def up(console: Console) -> None:
    """Brings the stack up and asks what the tutorial asks."""
    pulumi("stack", "select", "--create", STACK)
    console.rule("pulumi up")
    started = time.monotonic()
    pulumi("up", "--yes", "--skip-preview")
    console.print(f"pulumi up: {time.monotonic() - started:.0f} s")
    KUBECONFIG.touch(mode=0o600)
    KUBECONFIG.write_text(output("kubeconfig", "--show-secrets"))
    address = output("proxy_ip")
    console.rule("the tutorial's requests")
    for path in ("", "/foo", "/bar"):
        _show_request(console, f"http://{address}{path}")
    console.rule("look further")
    console.print(f"source {shlex.quote(str(RUN / 'env'))}", style="bold", highlight=False)
    for command, meaning in (
        ("pulumi stack output proxy_ip", "the gateway's address"),
        ("pulumi stack --show-urns", "everything in the stack"),
        ("kubectl get all --all-namespaces", "what runs in the cluster"),
        ("python -m sandbox bill", "what DigitalOcean would charge"),
        ("make down", "destroy the stack, show the bill at zero, stop the sandbox"),
    ):
        console.print(f"{command:36} [dim]# {meaning}[/dim]", highlight=False)


def _show_request(console: Console, url: str) -> None:
    answer = httpx.get(url, timeout=10)
    console.print(f"[bold]$ curl -i {url}[/bold]", highlight=False)
    console.print(f"{answer.http_version} {answer.status_code} {answer.reason_phrase}", highlight=False)
    for header in ("content-type", "server", "via"):
        if header in answer.headers:
            console.print(f"{header}: {answer.headers[header]}", style="dim", highlight=False)
    console.print(answer.text.strip(), highlight=False, markup=False)
    console.print()


def down(console: Console) -> None:
    """Destroys the stack and shows the bill."""
    console.rule("pulumi destroy")
    started = time.monotonic()
    pulumi("destroy", "--yes", "--skip-preview", "--stack", STACK)
    console.print(f"pulumi destroy: {time.monotonic() - started:.0f} s")
    console.rule("the bill")
    hourly = wait_for_zero()
    bill(console)
    if hourly:
        raise TourError(f"something is still billed: {hourly:.5f} USD an hour")


def wait_for_zero(seconds: float = 60) -> float:
    """Deletes take effect after they are answered; waits for that and returns what an hour costs then, in USD."""
    end = time.monotonic() + seconds
    while (hourly := ledger()["hourly"]) and time.monotonic() < end:
        time.sleep(0.5)
    return hourly


def ledger() -> dict[str, Any]:
    return httpx.get(f"{API}/_control/ledger").raise_for_status().json()


def bill(console: Console) -> None:
    """Prints what is and what was billed."""
    book = ledger()
    table = Table("what", "name", "USD/hour", "from", "until")
    for entry in book["entries"]:
        table.add_row(
            entry["kind"], entry["name"], f"{entry['price_hourly']:.5f}", entry["created_at"], entry["ended_at"] or "-"
        )
    console.print(table)
    console.print(f"billed now: {book['hourly']:.5f} USD an hour", style="bold", highlight=False)
