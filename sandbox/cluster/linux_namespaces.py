"""Mount, network and process namespaces: the control plane and each node have their own.

They keep the cluster off the machine: none of its iptables rules, routes, sysctls and mounts is visible outside, and
none of the machine's (Docker's, a firewall's, another Kubernetes') reaches into it. When their first process ends, the
kernel ends all others and removes what was in them: so a node stops, and so it ends when the sandbox is killed.
"""

import ctypes
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.cluster.remains import HARD_CODED
from sandbox.host.process import Child

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""The environment of processes in the namespaces; a proxy of the machine, for example, is unreachable there."""

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

# Only a shell that waits reaps the orphans that become its children, the containers' shims.
_FIRST_PROCESS = f"""
mount --make-rshared /
for directory in /run /var/log {" ".join(map(str, HARD_CODED))}; do mount -t tmpfs kong-doks $directory; done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$1"
while :; do sleep 1000000; done
"""


class Namespaces:
    """One set of namespaces.

    Attributes:
        first: The process id, on the machine, of their first process.
    """

    def __init__(self, directory: Path, logs: Path) -> None:
        """Raises ChildFailedError or CalledProcessError where the kernel or a missing privilege forbids them."""
        for path in HARD_CODED:  # the first process mounts on them
            path.mkdir(parents=True, exist_ok=True)
        ready = directory / "namespaces"
        options = ["--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
        command: list[str | Path] = ["unshare", *options, "sh", "-ec", _FIRST_PROCESS, "sh", ready]
        self._child = Child("namespaces", command, env=PATH, logs=logs)
        try:
            self._child.wait_until(ready.exists, seconds=60)
            self.first = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().strip()
        except BaseException:
            self.end()
            raise

    def command(self, *argv: str | Path) -> list[str | Path]:
        """The command that runs `argv` in the namespaces."""
        return ["nsenter", "--target", self.first, "--mount", "--net", "--pid", *argv]

    def run(self, script: str) -> None:
        """Runs a shell script in the namespaces. Raises CalledProcessError."""
        subprocess.run(self.command("sh", "-ec", script), check=True)

    def read(self, path: str) -> str:
        """A file of /proc/net, as it is in the namespaces."""
        return Path(f"/proc/{self.first}", Path(path).relative_to("/proc")).read_text()

    def listen(self, port: int) -> socket.socket:
        """A listener on the namespaces' own loopback address."""

        def create() -> socket.socket:
            with Path(f"/proc/{self.first}/ns/net").open() as namespace:
                if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET):
                    error = ctypes.get_errno()
                    raise OSError(error, os.strerror(error))
            return socket.create_server(("127.0.0.1", port))

        # Only the calling thread changes its namespace; it ends right after, so it needn't change back.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(create).result()

    def end(self) -> None:
        """Ends every process in the namespaces, and with them all else. Idempotent."""
        if self._child.running():
            os.kill(self._child.pid, signal.SIGKILL)  # unshare blocks SIGTERM
        self._child.stop()
