"""Child processes of the sandbox: each logs to a file of its own and dies with its parent."""

import ctypes
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from sandbox.host.errors import SandboxError
from sandbox.host.paths import LOGS

ANSWER_SECONDS = 60
"""How long one process of the sandbox waits for the answer of another one: other processes may keep the cores busy."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# To the kernel the parent is the *thread* that forked, so one thread that outlives the others starts every child.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class ChildFailedError(SandboxError):
    """A child ended, or wasn't ready in time; the message names its log."""


class Child:
    """A running command that logs to `<logs>/<name>.log`. `stop` is idempotent."""

    def __init__(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None, logs: Path = LOGS
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = _SPAWNER.submit(
                subprocess.Popen,
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                # A parent that is killed outright can't tidy up: the kernel then ends the child.
                preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
            ).result()
        self.pid = self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float = 180) -> None:
        """Waits for `ready`; a connection that is refused counts as not yet.

        Raises:
            ChildFailedError: the child ended first, or `seconds` passed.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.running():
                raise ChildFailedError(f"{self.name} ended with status {self._process.returncode}; see {self.log}")
            try:
                if ready():
                    return
            except (OSError, httpx.TransportError):
                pass
            time.sleep(0.05)
        raise ChildFailedError(f"{self.name} was not ready after {seconds:.0f} s; see {self.log}")

    def stop(self, seconds: float = 5) -> None:
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
