"""`make up` and `make down`: the tutorial or an example as a stack, by the real commands and requests."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.table import Table

from sandbox import pulumi
from sandbox.environment import SHELL, environment
from sandbox.host.addresses import API
from sandbox.host.errors import SandboxError
from sandbox.host.paths import PROJECT
from sandbox.host.process import ANSWER_SECONDS

STACK = "sandbox"
_DOCTOR = f". {shlex.quote(str(SHELL))}; python -m ops doctor --stack {{stack}}"
LOOK_FURTHER = (
    ("pulumi stack output proxy_ip", "the gateway's address"),
    ("pulumi stack output readme", "the requests to each service, what it costs, how to stop the charges"),
    ("pulumi stack", "everything in the stack"),
    ("python -m ops status --stack {stack}", "whether each service is ready; if not, why, and what to type next"),
    ("kubectl get all --all-namespaces", "what runs in the cluster"),
    ("python -m ops bill --stack {stack}", "what DigitalOcean would charge"),
    ("python -m ops doctor --stack {stack}", "whether state and account agree"),
    ("pulumi up", "apply what you edit"),
    ("make down", "destroy the stack, show the bill at zero, stop the sandbox"),
)
_FIND_THE_FAULT = (
    ("python -m ops status --stack {stack}", "which pods aren't ready, and why"),
    ("kubectl get pods --all-namespaces", "what runs in the cluster and what doesn't"),
    ("kubectl describe pod NAME", "why a pod doesn't start"),
    ("kubectl logs deployment/NAME-deployment", "what a service says"),
    ("python -m ops doctor --stack {stack}", "what is lost, left or locked, and the command that mends it"),
    ("pulumi up", "go on, after the fault is mended"),
    ("make down", "destroy the stack, show the bill at zero, stop the sandbox"),
)
_KONG_FAILURES = (
    "no Route matched",
    "failure to get a peer",
    "invalid response was received",
    "upstream server is",
)
"""Kong's messages for an unknown route, and for a route without ready pods."""


class DemoError(SandboxError):
    """A step of the demo failed; the message says what to do."""


def up(console: Console, stack: str = STACK) -> None:
    """Brings a stack up, makes a request to each of its services and shows what to try next.

    Raises:
        DemoError, PulumiError: a step failed.
    """
    stacks = pulumi.query("stack", "ls")
    # A stack that never had an update has no count.
    others = [other["name"] for other in stacks if other["name"] != stack and other.get("resourceCount")]
    if others:
        raise DemoError(f"stack {others[0]} is up, and the sandbox has room for one cluster; fix: make down")
    pulumi.select(stack)
    try:
        console.rule("python -m ops preflight")
        _ops("preflight", "--stack", stack)
        console.rule("pulumi up")
        started = time.monotonic()
        pulumi.run(console, "up", "--stack", stack)
        console.print(f"pulumi up: {time.monotonic() - started:.0f} s")
        _show_requests(console, pulumi.query("stack", "output"))
    except (DemoError, pulumi.PulumiError) as error:
        _show_commands(console, "find the fault", _FIND_THE_FAULT, stack)
        raise DemoError(f"{error}; fix: one of the commands above, then make up again") from None
    _show_commands(console, "look further", LOOK_FURTHER, stack)


def _ops(*arguments: str) -> None:
    """Runs one of the project's own commands on the selected stack, with its output on the terminal.

    Raises:
        DemoError: it failed.
    """
    command = [sys.executable, "-m", "ops", *arguments]
    if subprocess.run(command, cwd=PROJECT, env=os.environ | environment(), check=False).returncode:
        raise DemoError(f"python -m ops {shlex.join(arguments)} failed")


def _show_commands(console: Console, title: str, commands: tuple[tuple[str, str], ...], stack: str) -> None:
    """Prints each command on a line of its own, so that a narrow terminal makes no command of a wrapped comment."""
    console.rule(title)
    for command, meaning in ((f"source {shlex.quote(str(SHELL))}", "for this shell, first"), *commands):
        console.print(f"# {meaning}", style="dim", highlight=False)
        console.print(command.format(stack=stack), style="bold", highlight=False, markup=False, soft_wrap=True)


def _show_requests(console: Console, outputs: dict[str, Any]) -> None:
    """Makes a request to the gateway and to each service.

    Raises:
        DemoError: Kong has no route, or a service doesn't answer.
    """
    console.rule("requests")
    address = outputs["proxy_ip"]
    urls = [outputs[name] for name in sorted(outputs) if name.endswith("_url") and name != "proxy_url"]
    _show_request(console, address, f"http://{address}", routed=False)
    for url in urls:
        _show_request(console, address, url, routed=True, headers=_conditions(outputs["readme"], url))


def _conditions(readme: str, url: str) -> dict[str, str]:
    """Returns the headers of the readme's request to a service, without which Kong has no route; no credentials."""
    lines = [shlex.split(line) for line in readme.splitlines() if line.startswith("curl ")]
    words = next((words for words in lines if words[-1] == url), [])
    headers = [words[index + 1] for index, word in enumerate(words) if word == "-H"]
    return dict(header.split(": ", 1) for header in headers if "$" not in header)


def _show_request(
    console: Console, address: str, url: str, *, routed: bool, headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    parts = urlsplit(url)
    # A domain of the sandbox's own is in no public DNS.
    target = f"http://{address}{parts.path}"
    headers = {**headers, **({} if parts.netloc == address else {"Host": parts.netloc})}
    try:
        answer = httpx.get(target, headers=headers, timeout=ANSWER_SECONDS)
    except httpx.TransportError as error:
        raise DemoError(f"{url} doesn't answer ({error})") from None
    shown = "".join(f"-H {shlex.quote(f'{name}: {value}')} " for name, value in headers.items())
    console.print(f"[bold]$ curl -i {shown}{target}[/bold]", highlight=False, soft_wrap=True)
    console.print(f"{answer.http_version} {answer.status_code} {answer.reason_phrase}", highlight=False)
    for header in ("content-type", "server", "via"):
        if header in answer.headers:
            console.print(f"{header}: {answer.headers[header]}", style="dim", highlight=False)
    is_page = "html" in answer.headers.get("content-type", "")
    console.print("# a page for a browser" if is_page else answer.text.strip(), highlight=False, markup=False)
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        console.print("# as configured: it asks for a credential or refuses this address", style="dim", highlight=False)
    console.print()
    # Kong adds `via` to what a service answers.
    failed = answer.is_server_error and "via" in answer.headers
    if routed and (failed or any(words in answer.text for words in _KONG_FAILURES)):
        raise DemoError(f"{url} answered {answer.status_code}")


def down(console: Console) -> None:
    """Destroys every stack of the sandbox and shows the bill.

    Raises:
        DemoError: a stack can't be destroyed, or something is still billed.
    """
    started = time.monotonic()
    for stack in [listed["name"] for listed in pulumi.query("stack", "ls")]:
        console.rule(f"pulumi destroy --stack {stack}")
        try:
            _destroy(console, stack)
        except pulumi.PulumiError as error:
            # The account is on this machine: nothing stays billed.
            doctor, stop = _DOCTOR.format(stack=stack), f"{sys.executable} -m sandbox stop"
            raise DemoError(f"{error}; fix: {doctor}; or give it all up: {stop}") from None
    console.print(f"pulumi destroy: {time.monotonic() - started:.0f} s")
    console.rule("the bill")
    book = ledger(wait=60)  # a deletion takes effect after its response
    _show_bill(console, book)
    if book["hourly"]:
        raise DemoError(
            f"something is still billed: {book['hourly']:.5f} USD an hour; fix: {_DOCTOR.format(stack=STACK)}"
        )


def _destroy(console: Console, stack: str) -> None:
    try:
        pulumi.run(console, "destroy", "--stack", stack)
    except pulumi.LockedError:
        console.print(f"pulumi cancel --yes --stack {stack}", style="bold")
        pulumi.cancel(stack)
        pulumi.run(console, "destroy", "--stack", stack)


def ledger(wait: float = 0) -> dict[str, Any]:
    """Returns the stand-in's bill once nothing is billed or `wait` seconds have passed."""
    answer = httpx.get(f"{API}/_control/ledger", params={"wait": wait}, timeout=wait + ANSWER_SECONDS)
    book: dict[str, Any] = answer.raise_for_status().json()
    return book


def bill(console: Console) -> None:
    """Prints what is and what was billed."""
    _show_bill(console, ledger())


def _show_bill(console: Console, book: dict[str, Any]) -> None:
    table = Table("kind", "name", "USD/month", "from", "until")
    for entry in book["entries"]:
        until = entry["ended_at"][11:19] if entry["ended_at"] else "-"
        table.add_row(entry["kind"], entry["name"], f"{entry['price_monthly']:.2f}", entry["created_at"][11:19], until)
    console.print(table)
    console.print(f"billed now: {book['hourly']:.5f} USD an hour", style="bold", highlight=False)
