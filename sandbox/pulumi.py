"""Pulumi's commands in the sandbox's environment, shown in lines that fit a narrow terminal and a pipe."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from sandbox.environment import environment
from sandbox.host.errors import SandboxError
from sandbox.host.paths import LOGS, PROJECT

_STEP = re.compile(
    r"^ *[-+~]+ +\S*?(?P<type>[\w/]+) (?P<name>\S+) \**(?P<status>[a-z]+(?:ing|ed)\b(?: failed)?)\**"
    r"(?P<details>(?: \([^)]*\))?(?: \[diff: [^\]]*\])?)"
)
_NOISE = re.compile(r"^\s*$|^@ |^Updating \(|^Destroying \(|^\s*#\d+ ")
"""Blank lines, progress dots, headings, and BuildKit's log."""


class PulumiError(SandboxError):
    """A Pulumi command failed; it has printed why."""


class LockedError(PulumiError):
    """The stack is locked, by a running command or by one that was killed."""


def run(console: Console, *arguments: str) -> None:
    """Runs `pulumi up` or `destroy`: prints each resource that is done and, on a terminal, those under way.

    The whole output is in a log. Ctrl-C interrupts Pulumi, which then ends by itself.

    Raises:
        PulumiError: it failed or was interrupted.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"pulumi-{arguments[0]}.log"
    command = ["pulumi", *arguments, "--yes", "--skip-preview", "--non-interactive", "--suppress-outputs"]
    with _interrupts_counted() as interrupts, log.open("w") as whole, console.status("...") as status:
        process = subprocess.Popen(
            [*command, "--color", "never"],
            cwd=PROJECT,
            env=os.environ | environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout  # noqa: S101 -- of PIPE
        under_way: dict[str, None] = {}
        for line in process.stdout:
            whole.write(line)
            if step := _STEP.match(line):
                label = f"{step['type']} {step['name']}"
                if step["status"].endswith("ing"):
                    under_way[label] = None
                else:
                    under_way.pop(label, None)
                    console.print(f"  {label} {step['status']}{step['details']}", markup=False, soft_wrap=True)
                status.update(f"under way: {', '.join(under_way)}"[: console.width - 4])
            elif not _NOISE.match(line):
                console.print(line.rstrip(), markup=False, soft_wrap=True)
        failed = process.wait()
    if interrupts:
        raise PulumiError(f"pulumi {arguments[0]} was interrupted")
    if "the stack is currently locked" in log.read_text():
        raise LockedError(f"pulumi {shlex.join(arguments)}: the stack is locked")
    if failed:
        raise PulumiError(f"pulumi {shlex.join(arguments)} failed; the whole output is in {log}")


@contextmanager
def _interrupts_counted() -> Iterator[list[int]]:
    """Leaves Ctrl-C to the child, which gets it from the terminal as well. Yields a list with an entry for each."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def query(*arguments: str) -> Any:  # noqa: ANN401 -- JSON
    """Returns the JSON that a Pulumi command prints. Raises PulumiError."""
    return json.loads(_run_quietly(*arguments, "--json"))


def select(stack: str) -> None:
    """Selects a stack and creates it if there is none. Raises PulumiError."""
    _run_quietly("stack", "select", "--create", stack, "--non-interactive")


def cancel(stack: str) -> None:
    """Removes a stack's lock. Raises PulumiError."""
    _run_quietly("cancel", "--yes", "--stack", stack)


def _run_quietly(*arguments: str) -> str:
    """Returns what a Pulumi command prints.

    Raises:
        PulumiError: it failed.
    """
    command = ["pulumi", *arguments]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | environment(), check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise PulumiError(f"{shlex.join(command)}: {done.stderr.strip()}")
    return done.stdout
