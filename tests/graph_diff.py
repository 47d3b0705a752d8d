"""Prints how the resource graph of the working tree differs from the one of a Git revision.

Runs the program of both under mocks, for every stack file, every example and every configuration of the unit tests, and
compares each resource's inputs, dependencies and options. Ends with 1 if there is a difference.
"""

import argparse
import difflib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.configurations import PROJECT, all_configurations

RECORDER = Path("tests/unit/record.py")
# A generated password would be a difference.
_RECORD = (
    "import runpy, secrets; secrets.token_hex = lambda size: 'ab' * size;"
    "runpy.run_module('tests.unit.record', run_name='__main__')"
)
_STACK_FILES = {"stack dev": "dev", "stack local": "local", "stack sandbox": "sandbox"}

Run = Mapping[str, Any]


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Yields a temporary work tree of a revision, with this one's recorder."""
    with tempfile.TemporaryDirectory(prefix="graph-diff-") as folder:
        tree = Path(folder) / "tree"
        git = ("git", "-C", str(PROJECT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            shutil.copy(PROJECT / RECORDER, tree / RECORDER)
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def recorded(tree: Path, runs: Mapping[str, Run]) -> dict[str, Any]:
    """Returns what the program in `tree` registers, by the names of the runs."""
    process = subprocess.run(
        [sys.executable, "-c", _RECORD], cwd=tree, input=json.dumps(runs), stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def described(run: Run) -> dict[str, Any]:
    """Returns what is compared of a run: its resources by URN, its outputs, calls, errors and exit status."""
    # Frames of a stack trace are no part of the graph.
    resources = {
        resource["urn"]: resource | {"needs": sorted(set(resource["needs"])), "frames": None}
        for resource in run["resources"]
    }
    return resources | {key: run[key] for key in ("outputs", "errors", "status")} | {"calls": sorted(run["invoked"])}


def difference(before: Any, after: Any) -> str:  # noqa: ANN401 -- JSON
    """Returns the lines that differ, each with two lines around it."""
    old, new = (
        [] if side is None else json.dumps(side, indent=1, sort_keys=True).splitlines() for side in (before, after)
    )
    lines = difflib.unified_diff(old, new, n=2, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="a Git revision")
    base = parser.parse_args().base
    runs = {**{name: {"stack": stack} for name, stack in _STACK_FILES.items()}, **all_configurations()}
    with checkout(base) as tree, ThreadPoolExecutor() as at_once:
        before, after = at_once.map(recorded, (tree, PROJECT), (runs, runs))
    differences: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in runs:
        old, new = described(before[name]), described(after[name])
        for key in [*old, *(key for key in new if key not in old)]:
            if text := difference(old.get(key), new.get(key)):
                differences[key, text].append(name)
    for (key, text), names in differences.items():
        print(f"{key}\n  in {len(names)} of {len(runs)}: {', '.join(names)}\n{text}\n")
    print(f"{len(runs)} configurations, {len(differences)} differences to {base}")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
