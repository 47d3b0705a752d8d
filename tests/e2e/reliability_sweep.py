"""python -m tests.e2e.reliability_sweep: cuts `up` and `destroy` at every one of their calls, prints what came of it.

At `digitalocean` these are all calls of its API, at `kubernetes` the writes to the cluster's. Each case: an `up` that
is cut, then what a person does (`up` again; where that doesn't do, what `ops doctor` says), a `destroy` that is cut,
`destroy` again (or the doctor). Then nothing may be left, nothing may have been made twice.
"""

import argparse
import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sandbox.cloud.faults import Fault
from tests.e2e.reliability import Part, until
from tests.e2e.whole import Whole

if TYPE_CHECKING:
    from collections.abc import MutableSequence

Command = Literal["up", "destroy"]
QUIET = ("--yes", "--skip-preview", "--non-interactive")
KINDS: dict[str, dict[str, Any]] = {
    "refused": {"kind": "status", "status": 422},
    "broken": {"kind": "status", "status": 500, "times": None},
    "busy": {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    "hung up": {"kind": "refuse", "times": None},
    "timed out": {"kind": "timeout", "seconds": 3},
    "unanswered": {"kind": "drop_after"},
    "killed": {},
}
"""What happens to a call; None: to all from it on, until the command has given up."""
FIGURES = ("cuts", "converged", "of these by the doctor", "not converged", "orphans", "duplicates")


class Sweep:
    """The cases of one stack. `figures` counts what came of them."""

    def __init__(self, part: Part) -> None:
        self.figures: Counter[str] = Counter()
        self._part = part
        self._cloud = part.account.cloud
        self._calls: MutableSequence[Any] = self._cloud.calls
        self._faults: list[Fault] = self._cloud.faults
        if isinstance(part, Whole):
            self._calls, self._faults = part.relay.writes, part.relay.faults
        part.account.settings.cluster_create = 0.3
        self.calls: dict[Command, list[Any]] = {"up": self._whole("up"), "destroy": self._whole("destroy")}
        """What a command asks for that nobody cuts."""
        self.length = {command: len(calls) for command, calls in self.calls.items()}

    def case(self, kind: str, number: int) -> str:
        """One case; what mended it. A case that nothing mends is told, and counted."""
        try:
            return ", ".join(filter(None, (self._command("up", kind, number), self._command("destroy", kind, number))))
        except AssertionError as error:
            self.figures["not converged"] += 1
            return f"NOT CONVERGED {error}"
        finally:
            self._empty()

    def _whole(self, command: Command) -> list[Any]:
        self._calls.clear()
        self._part.run("pulumi", command, *QUIET)
        if command == "destroy":
            until(lambda: not self._cloud.clusters.records)
        return list(self._calls)

    def _command(self, command: Command, kind: str, number: int) -> str:
        cut = number < self.length[command] and self._cut(command, kind, number)
        self.figures["cuts"] += cut
        again = self._part.run("pulumi", command, *QUIET, check=False)
        typed: list[str] = []
        if again.returncode or (command == "destroy" and self._part.doctor()):
            typed = self._part.mend()
            self._part.run("pulumi", command, *QUIET)
        self.figures["converged"] += cut
        self.figures["of these by the doctor"] += bool(cut and typed)
        if command == "up":
            made = (
                self._cloud.clusters.records,
                self._cloud.registries.documents,
                self._cloud.load_balancers.remaining(),
            )
            self.figures["duplicates"] += any(len(things) > 1 for things in made)
        return f"{command} by {'the doctor' if typed else command}" if cut else ""

    def _cut(self, command: Command, kind: str, number: int) -> bool:
        """Whether there was such a call."""
        self._calls.clear()
        if kind == "killed":
            self._part.cut(command, signal.SIGKILL, lambda: len(self._calls) > number)
            until(lambda: all(each.state != "provisioning" for each in list(self._cloud.clusters.records.values())))
        else:
            # Paths of the API's, not the test's own way in.
            self._faults.append(Fault(path="^/(v2|api|apis)/", skip=number, **KINDS[kind]))
            self._part.run("pulumi", command, *QUIET, check=False)
            self._faults.clear()
        return len(self._calls) > number

    def _empty(self) -> None:
        """Counts what a case left, and removes it for the next one."""
        part, cloud = self._part, self._cloud
        left = part.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", "20", check=False).returncode
        state = part.run("pulumi", "stack", "export", check=False)
        kept = '"urn"' in state.stdout
        self.figures["orphans"] += bool(left) or cloud.ledger.hourly > 0 or kept
        if kept:
            part.run("pulumi", "cancel", "--yes", check=False)
            part.run("pulumi", "stack", "rm", "--yes", "--force", "--preserve-config", "dev")
            part.run("pulumi", "stack", "init", "dev")
            part.configure()
        for record in list(cloud.clusters.records.values()):
            cloud.clusters.destroy_associated(record)
        for name in list(cloud.registries.documents):
            cloud.registries.delete(name)
        until(lambda: not cloud.clusters.records)
        cloud.ledger.entries.clear()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--at", choices=("digitalocean", "kubernetes"), default="digitalocean")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="CALL", help="the first call that is cut")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="cut only every Nth call")
    options = parser.parse_args(arguments)
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(KINDS)}")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        part = Whole(Path(folder)) if options.at == "kubernetes" else Part(Path(folder))
        try:
            sweep = Sweep(part)
            print(f"calls: {sweep.length}", flush=True)
            for kind in options.kinds or KINDS:
                for number in range(options.first, max(sweep.length.values()), options.every):
                    print(f"{kind} at call {number}: {sweep.case(kind, number)}", flush=True)
                    told = ", ".join(f"{name}: {sweep.figures[name]}" for name in FIGURES)
                    print(f"    {time.monotonic() - began:.0f} s, {told}", flush=True)
        finally:
            part.stop()
    return 1 if any(sweep.figures[name] for name in ("not converged", "orphans", "duplicates")) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
