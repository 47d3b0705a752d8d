"""Lints and tests the sandbox's own Go code: `python -m sandbox.toolchain.go_checks lint|test`."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from sandbox.host.paths import CACHE, PROJECT
from sandbox.host.progress import Report
from sandbox.toolchain import go_toolchain
from sandbox.toolchain.modules import FLAGS, GO, MODULES

_FOLDER = next(module.folder for module in MODULES if module.name == "kong")
"""The only module with more than a main function of ours."""
# The flags of the build: packages that it has compiled are found again.
_ENVIRONMENT = {**go_toolchain.ENVIRONMENT, "GOFLAGS": " ".join(["-mod=readonly", *(f"'{flag}'" for flag in FLAGS)])}


def _run(*command: str | Path, folder: Path = _FOLDER, environment: dict[str, str] = _ENVIRONMENT) -> bool:
    """Runs a linter that prints only problems. Returns whether there were none."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    failed = bool(done.returncode or done.stdout.strip())
    if failed:
        sys.stdout.write(done.stdout)
    return not failed


def _linter(name: str, package: str) -> Path:
    """The path of a linter, built once for each version of it and of Go."""
    source = GO / "lint"
    digest = hashlib.sha256(go_toolchain.version().encode() + (source / "go.sum").read_bytes()).hexdigest()[:16]
    binary = CACHE / "tools" / f"{name}-{digest}"
    if not binary.exists():
        build = (go_toolchain.command(), "build", "-o", binary, package)
        _run(*build, folder=source, environment=go_toolchain.ENVIRONMENT)
    return binary


def lint() -> bool:
    """Returns whether gofmt, go vet and staticcheck find nothing, nor actionlint in the workflows."""
    go = go_toolchain.command()
    root = subprocess.run([go, "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()
    staticcheck = _linter("staticcheck", "honnef.co/go/tools/cmd/staticcheck")
    actionlint = _linter("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
    shellcheck = Path(sys.executable).with_name("shellcheck")
    checks: list[tuple[Path, tuple[str | Path, ...]]] = [
        (_FOLDER, (Path(root, "bin", "gofmt"), "-l", ".")),
        (_FOLDER, (go, "vet", "./...")),
        (_FOLDER, (staticcheck, "./...")),
        (PROJECT, (actionlint, "-no-color", "-shellcheck", shellcheck)),
    ]
    failed = [command for folder, command in checks if not _run(*command, folder=folder)]
    return not failed


def test() -> bool:
    """Returns whether the table tests pass."""
    done = subprocess.run(
        [go_toolchain.command(), "test", "./..."], cwd=_FOLDER, env=os.environ | _ENVIRONMENT, check=False
    )
    return done.returncode == 0


if __name__ == "__main__":
    go_toolchain.install(Report(Console()))
    sys.exit(not {"lint": lint, "test": test}[sys.argv[1]]())
