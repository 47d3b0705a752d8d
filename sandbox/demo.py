"""What `make up` and `make down` show: the tutorial as one stack, by the real commands and real requests."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from sandbox.environment import SHELL, environment
from sandbox.host.addresses import API
from sandbox.host.paths import PROJECT, RUN

STACK = "sandbox"
KUBECONFIG = RUN / "kubeconfig"
_DOCTOR = f". {SHELL}; python -m ops doctor --stack {STACK}"


class TourError(Exception):
    """A command of the tour failed; it has said why itself."""


def pulumi(*arguments: str, folder: Path = PROJECT) -> None:
    """Runs pulumi with its output on the terminal.

    Raises:
        TourError: it failed.
    """
    if subprocess.run(["pulumi", *arguments], cwd=folder, env=os.environ | environment(), check=False).returncode:
        raise TourError(f"pulumi {shlex.join(arguments)} failed")


def _ops(*arguments: str) -> None:
    """Runs one of the project's own commands with its output on the terminal.

    Raises:
        TourError: it failed.
    """
    command = [sys.executable, "-m", "ops", *arguments]
    if subprocess.run(command, cwd=PROJECT, env=os.environ | environment(), check=False).returncode:
        raise TourError(f"python -m ops {shlex.join(arguments)} failed")


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
    console.rule("python -m ops preflight")
    _ops("preflight", "--stack", STACK)
    console.rule("pulumi up")
    started = time.monotonic()
    pulumi("up", "--yes", "--skip-preview")
    console.print(f"pulumi up: {time.monotonic() - started:.0f} s")
    KUBECONFIG.touch(mode=0o600)
    KUBECONFIG.write_text(output("kubeconfig", "--show-secrets"))
    address = output("proxy_ip")
    console.rule("the tutorial's requests")
    for path, status in {"": 404, "/foo": 200, "/bar": 200}.items():
        _show_request(console, f"http://{address}{path}", status)
    console.rule("look further")
    console.print(f"source {shlex.quote(str(RUN / 'env'))}", style="bold", highlight=False)
    for command, meaning in (
        ("pulumi stack output proxy_ip", "the gateway's address"),
        ("pulumi stack --show-urns", "everything in the stack"),
        ("kubectl get all --all-namespaces", "what runs in the cluster"),
        ("python -m ops bill --stack sandbox", "what DigitalOcean would charge"),
        ("python -m ops doctor --stack sandbox", "whether state and account agree"),
        ("make down", "destroy the stack, show the bill at zero, stop the sandbox"),
    ):
        console.print(f"{command:36} [dim]# {meaning}[/dim]", highlight=False)


def _show_request(console: Console, url: str, status: int) -> None:
    """Makes a request and shows the answer.

    Raises:
        TourError: it has another status.
    """
    answer = httpx.get(url, timeout=10)
    console.print(f"[bold]$ curl -i {url}[/bold]", highlight=False)
    console.print(f"{answer.http_version} {answer.status_code} {answer.reason_phrase}", highlight=False)
    for header in ("content-type", "server", "via"):
        if header in answer.headers:
            console.print(f"{header}: {answer.headers[header]}", style="dim", highlight=False)
    console.print(answer.text.strip(), highlight=False, markup=False)
    console.print()
    if answer.status_code != status:
        raise TourError(f"{url} answered {answer.status_code} instead of {status}; fix: {_DOCTOR}")


def down(console: Console) -> None:
    """Destroys the stack and shows the bill."""
    console.rule("pulumi destroy")
    started = time.monotonic()
    try:
        # An `up` that ended early may have made no stack.
        pulumi("stack", "select", "--create", STACK)
        pulumi("destroy", "--yes", "--skip-preview", "--stack", STACK)
    except TourError as error:
        # The account is this machine's own: nothing goes on costing.
        raise TourError(f"{error}; fix: {_DOCTOR}; or give it all up: {sys.executable} -m sandbox stop") from None
    console.print(f"pulumi destroy: {time.monotonic() - started:.0f} s")
    console.rule("the bill")
    book = ledger(wait=60)  # deletes take effect after they are answered
    _show(console, book)
    if book["hourly"]:
        raise TourError(f"something is still billed: {book['hourly']:.5f} USD an hour; fix: {_DOCTOR}")


def ledger(wait: float = 0) -> dict[str, Any]:
    """What DigitalOcean's stand-in bills and billed, as soon as that is nothing or `wait` seconds have passed."""
    answer = httpx.get(f"{API}/_control/ledger", params={"wait": wait}, timeout=wait + 10)
    book: dict[str, Any] = answer.raise_for_status().json()
    return book


def bill(console: Console) -> None:
    """Prints what is and what was billed."""
    _show(console, ledger())


def _show(console: Console, book: dict[str, Any]) -> None:
    table = Table("what", "name", "USD/month", "from", "until")
    for entry in book["entries"]:
        until = entry["ended_at"][11:19] if entry["ended_at"] else "-"
        table.add_row(entry["kind"], entry["name"], f"{entry['price_monthly']:.2f}", entry["created_at"][11:19], until)
    console.print(table)
    console.print(f"billed now: {book['hourly']:.5f} USD an hour", style="bold", highlight=False)
