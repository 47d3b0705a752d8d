"""Helpers of every tier: commands, conditions that become true, free ports, servers with one answer."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from sandbox.host.paths import PROJECT

T = TypeVar("T")


def run(
    command: tuple[str, ...], folder: Path, environment: Mapping[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs a command without input; `check` fails the test with its output if the command fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def sandbox_command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "sandbox", *arguments], cwd=PROJECT, check=True)


PATIENCE = 180
"""Seconds until a wait gives up. No test asserts how long something takes: both processors may be busy."""


def eventually(condition: Callable[[], T | None], seconds: float = PATIENCE, pause: float = 0.5) -> T:
    """Waits until a condition is true, or returns something, and returns that; fails the test after `seconds`."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"the condition is still false after {seconds:g} s"
        time.sleep(pause)
    return result


_held: list[socket.socket] = []
"""Bound, not listening: no other process gets their ports, and a server with SO_REUSEADDR can listen there."""


def free_ports(count: int) -> list[int]:
    """Returns different ports that nothing listens at, on any address, and reserves them for this process."""
    for _ in range(count):
        _held.append(socket.socket())
        _held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held[-1].bind(("", 0))
    return [int(one.getsockname()[1]) for one in _held[len(_held) - count :]]


def free_port() -> int:
    (port,) = free_ports(1)
    return port


@contextmanager
def answering(status: int, body: str, **headers: str) -> Iterator[str]:
    """Serves the same response to every request; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 -- http.server's names

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
