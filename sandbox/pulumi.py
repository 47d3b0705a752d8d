"""Pulumi's commands in the sandbox's environment, shown in lines that fit a narrow terminal and a pipe."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from sandbox.environment import environment
from sandbox.host.errors import SandboxError
from sandbox.host.paths import LOGS, PROJECT

_STEP = re.compile(
    r"^ *[-+~]+ +\S*?(?P<type>[\w/]+) (?P<name>\S+) \**(?P<status>[a-z]+(?:ing|ed)\b(?: failed)?)\**"
    r"(?P<details>(?: \([^)]*\))?(?: \[diff: [^\]]*\])?)(?P<message>.*)"
)
_BUILD_OUTPUT = re.compile(r" #\d+ \d+\.\d+ (?P<line>.*)")
"""What a step of a Dockerfile prints, behind the step's number and its seconds."""
_NOISE = re.compile(
    r"^\s*$|^@ |^Updating \(|^Destroying \(|^\s*#\d+ |^The resources in the stack |^If you want to remove "
)
"""Blank lines, progress dots, headings, BuildKit's log, and what to type after a destroy: the sandbox is gone then."""


class PulumiError(SandboxError):
    """A Pulumi command failed; it has printed why."""


class LockedError(PulumiError):
    """The stack is locked, by a running command or by one that was killed."""


class _Steps:
    """The steps of a command: those under way, and what their builds printed last."""

    def __init__(self) -> None:
        self.under_way: dict[str, None] = {}
        # The provider's diagnostics hold only the exit code: it logs the builder's output when it has answered already.
        self._build_output = defaultdict[str, deque[str]](lambda: deque(maxlen=10))

    def reports(self, step: re.Match[str]) -> Iterator[str]:
        """Yields the lines to print."""
        label = f"{step['type']} {step['name']}"
        if output := _BUILD_OUTPUT.fullmatch(step["message"]):
            self._build_output[label].append(output["line"])
        if step["status"].endswith("ing"):
            self.under_way[label] = None
            return
        self.under_way.pop(label, None)
        yield f"  {label} {step['status']}{step['details']}"
        if step["status"].endswith("failed"):
            yield from (f"    | {line}" for line in self._build_output.pop(label, ()))


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
        steps = _Steps()
        for line in process.stdout:
            whole.write(line)
            if step := _STEP.match(line):
                for report in steps.reports(step):
                    console.print(report, markup=False, soft_wrap=True)
                status.update(f"under way: {', '.join(steps.under_way)}"[: console.width - 4])
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
