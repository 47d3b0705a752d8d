"""The node's own mount, network and process namespaces.

They keep the cluster off the machine: none of its iptables rules, routes, sysctls and mounts is visible outside, and
none of the machine's (Docker's, a firewall's, another Kubernetes') reaches into it. When their first process ends, the
kernel ends all others and removes what was in them: so a cluster stops, and so it ends when the sandbox is killed.
"""

import ctypes
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.cluster.remains import HARD_CODED, LINK
from sandbox.host.addresses import NODE, NODE_GATEWAY, SERVICES
from sandbox.host.process import Child

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""The environment in the namespaces: a proxy of the machine's, for one, can't be reached from there."""

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

_CONNECT = f"""
ip address add {NODE}/30 dev eth0
ip link set eth0 up
# The API server calls webhooks by their Services' addresses: without any route to them it wouldn't even begin to.
ip route add {SERVICES} dev eth0
"""


class Namespaces:
    def __init__(self, directory: Path) -> None:
        """Raises ChildFailedError or CalledProcessError where the kernel or a missing privilege forbids them."""
        for path in HARD_CODED:  # the first process mounts on them
            path.mkdir(parents=True, exist_ok=True)
        ready = directory / "namespaces"
        options = ["--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
        self._child = Child("namespaces", ["unshare", *options, "sh", "-ec", _FIRST_PROCESS, "sh", ready], env=PATH)
        try:
            self._child.wait_until(ready.exists, seconds=10)
            self._first = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().strip()
            _ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", self._first)
            _ip("address", "add", f"{NODE_GATEWAY}/30", "dev", LINK)
            _ip("link", "set", LINK, "up")
            subprocess.run(self.command("sh", "-ec", _CONNECT), check=True)
        except BaseException:
            self.end()
            raise

    def command(self, *argv: str | Path) -> list[str | Path]:
        """The command that runs `argv` in the namespaces."""
        return ["nsenter", "--target", self._first, "--mount", "--net", "--pid", *argv]

    def read(self, path: str) -> str:
        """A file of /proc/net, as it is in the namespaces."""
        return Path(f"/proc/{self._first}", Path(path).relative_to("/proc")).read_text()

    def listen(self, port: int) -> socket.socket:
        """A listener on the node's own loopback address."""

        def create() -> socket.socket:
            with Path(f"/proc/{self._first}/ns/net").open() as namespace:
                if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET):
                    error = ctypes.get_errno()
                    raise OSError(error, os.strerror(error))
            return socket.create_server(("127.0.0.1", port))

        # Only the thread that asks changes over, so one that ends right after need not find its way back.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(create).result()

    def end(self) -> None:
        """Ends every process in the namespaces, and with them all else. Idempotent."""
        if self._child.running():
            os.kill(self._child.pid, signal.SIGKILL)  # unshare blocks SIGTERM
        self._child.stop()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
