"""python -m tests.e2e.reliability_sweep [KIND ...]: cuts `up` and `destroy` at every one of their calls of the API.

Each case: an `up` that is cut, then what a person does (`up` again; where that doesn't do, what `ops doctor` says), a
`destroy` that is cut, `destroy` again (or the doctor). Then nothing may be left, nothing may have been made twice.
"""

import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from tests.e2e.reliability import Part, until

Command = Literal["up", "destroy"]
KINDS: dict[str, dict[str, Any]] = {
    "refused": {"kind": "status", "status": 422},
    "broken": {"kind": "status", "status": 500, "times": None},
    "busy": {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    "hung up": {"kind": "refuse", "times": None},
    "unanswered": {"kind": "drop_after"},
    "killed": {},
}
"""What happens to a call; None: to all from it on, until the command has given up."""


def main(kinds: list[str]) -> int:
    figures: Counter[str] = Counter()
    began = time.monotonic()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        part = Part(Path(folder))
        part.account.settings.cluster_create = 0.3
        length = {"up": _calls(part, "up"), "destroy": _calls(part, "destroy")}
        print(f"calls: {length}", flush=True)
        for kind in kinds:
            for number in range(max(length.values())):
                try:
                    said = _case(part, kind, number, length, figures)
                except AssertionError as error:
                    figures["not converged"] += 1
                    said = f"NOT CONVERGED {error}"
                print(f"{time.monotonic() - began:6.0f} s  {kind} at call {number}: {said}", flush=True)
                _empty(part, figures)
                print(f"        {_shown(figures)}", flush=True)
        part.account.stop()
    return 1 if figures["not converged"] or figures["orphans"] or figures["duplicates"] else 0


FIGURES = ("cuts", "converged", "of these by the doctor", "not converged", "orphans", "duplicates")


def _shown(figures: Counter[str]) -> str:
    return ", ".join(f"{name}: {figures[name]}" for name in FIGURES)


def _calls(part: Part, command: Command) -> int:
    part.account.cloud.calls.clear()
    part.run("pulumi", command, "--yes", "--skip-preview", "--non-interactive")
    if command == "destroy":
        until(lambda: not part.account.cloud.clusters.records)
    return len(part.account.cloud.calls)


def _case(part: Part, kind: str, number: int, length: dict[str, int], figures: Counter[str]) -> str:
    notes = []
    commands: tuple[Command, ...] = ("up", "destroy")
    for command in commands:
        cut = number < length[command] and _cut(part, command, kind, number)
        again = part.run("pulumi", command, "--yes", "--skip-preview", "--non-interactive", check=False)
        typed = []
        if again.returncode or (command == "destroy" and part.doctor()):
            typed = part.mend()
            part.run("pulumi", command, "--yes", "--skip-preview", "--non-interactive")
        if cut:
            figures["cuts"] += 1
            figures["converged"] += 1
            figures["of these by the doctor"] += bool(typed)
            notes.append(f"{command} by {'the doctor' if typed else command}")
        registries = len(part.account.cloud.registries.documents)
        figures["duplicates"] += command == "up" and (len(part.account.cloud.clusters.records) > 1 or registries > 1)
    return ", ".join(notes)


def _cut(part: Part, command: Command, kind: str, number: int) -> bool:
    """Whether there was such a call."""
    calls, faults = part.account.cloud.calls, part.account.cloud.faults
    calls.clear()
    if kind == "killed":
        part.cut(command, signal.SIGKILL, lambda: len(calls) > number)
        if part.account.cloud.clusters.records:
            until(lambda: all(each.state != "provisioning" for each in part.account.cloud.clusters.records.values()))
        return True
    part.fault(path="/v2/", skip=number, **KINDS[kind])
    part.run("pulumi", command, "--yes", "--skip-preview", "--non-interactive", check=False)
    faults.clear()
    return any(call.fault for call in calls)


def _empty(part: Part, figures: Counter[str]) -> None:
    """Counts what a case left, and removes it for the next one."""
    cloud = part.account.cloud
    left = part.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", "20", check=False).returncode
    figures["orphans"] += bool(left) or cloud.ledger.hourly > 0 or bool(part.resources())
    for record in list(cloud.clusters.records.values()):
        cloud.clusters.destroy_associated(record)
    for name in list(cloud.registries.documents):
        cloud.registries.delete(name)
    until(lambda: not cloud.clusters.records)
    cloud.ledger.entries.clear()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(KINDS)))
