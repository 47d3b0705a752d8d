"""python -m tests.reliability.sweep: cuts `up` and `destroy` at every one of their calls, prints what came of it.

At `digitalocean` these are all calls of its API, at `kubernetes` the writes to the cluster's. Each case: an `up` that
is cut, then what a person does (`up` again; where that doesn't do, what `ops doctor` says), a `destroy` that is cut,
`destroy` again (or the doctor). An `up` has converged if a preview then has nothing to change and the doctor nothing to
say. At the end nothing may be left, nothing may have been made twice.

`--chain` needs minutes instead of hours: one stack for each kind of trouble, `up` being typed again and again, and each
call cut in the first `up` that makes it, until there is none left; `destroy` likewise. Calls that no further command
makes, since they are done or go by another name, are "not reached".
"""

import argparse
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from sandbox.digitalocean.faults import Fault
from tests.reliability.part import QUIET, Part, until
from tests.reliability.whole import Whole

if TYPE_CHECKING:
    from collections.abc import MutableSequence

Command = Literal["up", "destroy"]


@dataclass(frozen=True)
class Kind:
    """A kind of trouble: what happens to a call, and which signal the command gets meanwhile, and how often."""

    fault: dict[str, Any]
    signal: int | None = None
    signals: int = 1

    @property
    def lasting(self) -> bool:
        """True if all calls from it on have that trouble, until the command has given up."""
        return self.fault.get("times", 1) is None


_HELD = {"kind": "timeout", "seconds": 3}
KINDS: dict[str, Kind] = {
    "refused": Kind({"kind": "status", "status": 422}),
    "broken": Kind({"kind": "status", "status": 500, "times": None}),
    "busy": Kind({"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}),
    "revoked": Kind({"kind": "status", "status": 401, "times": None}),
    "hung up": Kind({"kind": "refuse", "times": None}),
    "timed out": Kind(_HELD),
    "unanswered": Kind({"kind": "drop_after"}),
    "interrupted": Kind(_HELD, SIGINT),
    "interrupted twice": Kind(_HELD, SIGINT, 2),
    "killed": Kind(_HELD, SIGKILL),
    "killed after": Kind({"kind": "drop_after"}, SIGKILL),
}
# A cluster's, a registry's made-up name, and the number of Helm's record.
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=kong-doks-)[0-9a-f]{7}|(?<=kong\.v)[0-9]+$")
FIGURES = ("cuts", "converged", "of these by the doctor", "not converged", "not reached", "orphans", "duplicates")


class EachOnce(Fault):
    """Hits each of `calls` ("METHOD path") in the first command that makes it; `struck` are those of earlier ones."""

    calls: frozenset[str]
    lasting: bool
    """True if it is hit as often as that command tries it."""
    struck: set[str] = Field(default_factory=set)
    now: set[str] = Field(default_factory=set)

    def matches(self, method: str, path: str) -> bool:
        call = general(method, path)
        if call not in self.calls or call in self.struck or (call in self.now and not self.lasting):
            return False
        self.now.add(call)
        return True

    def next_command(self) -> int:
        """The number of calls at which this one was hit."""
        hit = len(self.now)
        self.struck |= self.now
        self.now = set()
        return hit


def general(method: str, path: str) -> str:
    """A call, whichever cluster or registry it is about."""
    return IDS.sub("<id>", f"{method} {path.partition('?')[0]}")


class Sweep:
    """The cases of one stack. `figures` counts what came of them."""

    def __init__(self, part: Part, *, kubernetes: bool = False) -> None:
        self.figures: Counter[str] = Counter()
        self._part = part
        self._cloud = part.account.cloud
        self._calls: MutableSequence[Any] = self._cloud.calls
        self._faults: list[Fault] = self._cloud.faults
        if kubernetes:
            assert isinstance(part, Whole)
            self._calls, self._faults = part.relay.writes, part.relay.faults
        part.account.settings.cluster_create = 0.3
        part.account.settings.requests_per_hour = 10**6  # these are many stacks' lives in an hour
        self.calls: dict[Command, list[str]] = {"up": self._whole("up"), "destroy": self._whole("destroy")}
        """Calls of an uninterrupted command, as "METHOD path"."""
        self.length = {command: len(calls) for command, calls in self.calls.items()}

    def case(self, kind: str, number: int) -> str:
        """Runs one case and returns what repaired it. A case without a repair is printed and counted."""
        try:
            return ", ".join(filter(None, (self._command("up", kind, number), self._command("destroy", kind, number))))
        except AssertionError as error:
            self.figures["not converged"] += 1
            return f"NOT CONVERGED {error}"
        finally:
            self._empty()

    def chain(self, kind: str) -> None:
        """Every call of `up`, and of `destroy`, in one stack."""
        try:
            for command in ("up", "destroy"):
                self._links(command, kind)
        except AssertionError as error:
            self.figures["not converged"] += 1
            print(f"NOT CONVERGED {error}", flush=True)
        finally:
            self._empty()

    def _links(self, command: Command, kind: str) -> None:
        trouble = KINDS[kind]
        calls = frozenset(general(*call.split()) for call in self.calls[command])
        fault = EachOnce(calls=calls, lasting=trouble.lasting, **trouble.fault)
        mended = False
        while True:
            ended = self._hit(command, trouble, fault, lambda: bool(fault.now))
            hit = fault.next_command()
            self.figures["cuts"] += hit
            print(f"{command}: cut at {hit}, {len(fault.struck)} of {len(fault.calls)}", flush=True)
            if hit:
                mended = False
                continue
            # A retry doesn't help, or nothing may be left: the doctor has to find everything at once.
            assert not (ended and mended), self._part.run("pulumi", command, *QUIET, check=False).stdout
            mended = bool(ended)
            asked = ended or command == "destroy"
            typed = self._part.mend(until_typing=f"pulumi {command} --stack dev") if asked else []
            if typed:
                print(f"    the doctor: {'; '.join(typed)}", flush=True)
            elif not ended:
                break
        missed = sorted(fault.calls - fault.struck)
        self.figures["not reached"] += len(missed)
        for call in missed:
            print(f"    not reached: {call}", flush=True)
        if command == "up":
            self._check_up()
        self.figures["converged"] += len(fault.struck)

    def _hit(self, command: Command, kind: Kind, fault: Fault, struck: Callable[[], bool]) -> int:
        """Runs a command that meets a fault; its exit status."""
        self._faults.append(fault)
        if kind.signal:
            ended = self._part.cut(command, kind.signal, struck, kind.signals).returncode
            self._wait_for_clusters()
        else:
            ended = self._part.run("pulumi", command, *QUIET, check=False).returncode
        self._faults.clear()
        return ended

    def _whole(self, command: Command) -> list[str]:
        self._calls.clear()
        self._part.run("pulumi", command, *QUIET)
        if command == "destroy":
            until(lambda: not self._cloud.clusters.records)
        return [" ".join(_words(call)) for call in self._calls]

    def _command(self, command: Command, kind: str, number: int) -> str:
        cut = number < self.length[command] and self._cut(command, kind, number)
        self.figures["cuts"] += cut
        again = self._part.run("pulumi", command, *QUIET, check=False)
        typed: list[str] = []
        if again.returncode or (command == "destroy" and self._part.doctor()):
            typed = self._part.mend()
            self._part.run("pulumi", command, *QUIET)
        if command == "up":
            self._check_up()
        self.figures["converged"] += cut
        self.figures["of these by the doctor"] += bool(cut and typed)
        return f"{command} by {'the doctor' if typed else command}" if cut else ""

    def _check_up(self) -> None:
        """Checks that the account has exactly the stack's resources.

        An `up` that creates again what an interrupted one may have created leaves the note of that in the state.
        """
        if all(finding["id"] == "operation-pending" for finding in self._part.doctor()):
            self._part.mend()
        preview = self._part.run("pulumi", "preview", "--expect-no-changes", "--non-interactive", check=False)
        assert preview.returncode == 0, preview.stdout
        assert (findings := self._part.doctor()) == [], findings

    def _wait_for_clusters(self) -> None:
        until(lambda: all(record.state != "provisioning" for record in list(self._cloud.clusters.records.values())))

    def _cut(self, command: Command, kind: str, number: int) -> bool:
        """True if there was such a call."""
        self._calls.clear()
        # Paths of the API's, not the test's own way in.
        fault = Fault(path="^/(v2|api|apis)/", skip=number, **KINDS[kind].fault)
        self._hit(command, KINDS[kind], fault, lambda: fault.times == 0)
        return len(self._calls) > number

    def _empty(self) -> None:
        """Counts what a case left, and removes it for the next one."""
        part, cloud = self._part, self._cloud
        left = part.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", "20", check=False).returncode
        state = part.run("pulumi", "stack", "export", check=False)
        kept = '"urn"' in state.stdout
        self.figures["orphans"] += bool(left) or cloud.ledger.hourly > 0 or kept
        self.figures["duplicates"] += self._doubled()
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

    def _doubled(self) -> bool:
        """True if there were ever two of what the stack has one of, even if one of them was removed since."""
        now = datetime.now(UTC)
        billed = sorted((entry.kind, entry.created_at, entry.ended_at or now) for entry in self._cloud.ledger.entries)
        return any(kind == other and began < ended for (kind, _, ended), (other, began, _) in pairwise(billed))


def _words(call: Any) -> tuple[str, str]:  # noqa: ANN401 -- DigitalOcean's or the relay's
    method, path = call.split() if isinstance(call, str) else (call.method, call.path)
    return method, path


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--at", choices=("digitalocean", "kubernetes"), default="digitalocean")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="CALL", help="the first call that is cut")
    parser.add_argument("--chain", action="store_true", help="every call, in one stack for each kind")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="cut only every Nth call")
    options = parser.parse_args(arguments)
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(KINDS)}")
    if options.chain and (options.first or options.every != 1):
        parser.error("--chain cuts every call: not with --from or --every")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        kubernetes = options.at == "kubernetes"
        part = Whole(Path(folder)) if kubernetes else Part(Path(folder))
        try:
            sweep = Sweep(part, kubernetes=kubernetes)
            print(f"calls: {sweep.length}", flush=True)

            def tell() -> None:
                # In a chain the doctor repairs the leftovers of several cuts.
                chain_only, others_only = "not reached", "of these by the doctor"
                names = [name for name in FIGURES if name != (others_only if options.chain else chain_only)]
                told = ", ".join(f"{name}: {sweep.figures[name]}" for name in names)
                print(f"    {time.monotonic() - began:.0f} s, {told}", flush=True)

            for kind in options.kinds or KINDS:
                if options.chain:
                    print(f"{kind}:", flush=True)
                    sweep.chain(kind)
                    tell()
                    continue
                for number in range(options.first, max(sweep.length.values()), options.every):
                    print(f"{kind} at call {number}: {sweep.case(kind, number)}", flush=True)
                    tell()
        finally:
            part.stop()
    return 1 if any(sweep.figures[name] for name in ("not converged", "orphans", "duplicates")) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
