"""Finds and removes what a sandbox that was killed outright left on the machine.

Recognised are: processes whose command line or temporary folder names the sandbox's run directory (a pager that shows
one of its logs, and the plugins of a Pulumi that was killed, too) or whose root file system lies in it; mounts below
it, the host side of the veth pair to the node, the pods' cgroup, and the directory itself.
All of these names are the sandbox's own, so another Kubernetes or container engine on the machine isn't touched.
Iptables rules, routes and sysctls need no removal: those of the cluster are in its network namespace and end with it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox.cluster.remains import INTERFACE, cgroups, remove_cgroup, remove_cluster
from sandbox.host.paths import RUN

_SECONDS = 10


def leftovers() -> list[str]:
    """Everything of a sandbox that is on the machine, a line each; of a running one, too."""
    return [
        *(f"process {pid}: {command}" for pid, command in _processes()),
        *(f"mount {path}" for path in _mounts()),
        *(f"network interface {path.name}" for path in (INTERFACE,) if path.exists()),
        *(f"cgroup {path}" for path in cgroups() if path.exists()),
        *(f"directory {path}" for path in (RUN,) if path.exists()),
    ]


def clean() -> None:
    """Removes all leftovers: also ends a sandbox that still runs, except for this process and its parents."""
    end = time.monotonic() + _SECONDS
    while (processes := list(_processes())) and time.monotonic() < end:
        for pid, _ in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for path in reversed(_mounts()):
        subprocess.run(["umount", "--lazy", path], check=False)
    remove_cluster()
    for cgroup in cgroups():
        remove_cgroup(cgroup)
    # What is mounted there may be the machine's own: never remove through a mount.
    if not _mounts():
        shutil.rmtree(RUN, ignore_errors=True)


def _processes() -> Iterator[tuple[int, str]]:
    spared = set(_ancestors())
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        if pid in spared:
            continue
        with contextlib.suppress(OSError):  # it ended
            command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            roots = (line for line in process.joinpath("mountinfo").read_text().splitlines() if line.split()[4] == "/")
            temporary = f"TMPDIR={RUN}/".encode() in process.joinpath("environ").read_bytes()
            if command and (temporary or f"{RUN}/" in command or any(f"{RUN}/" in line for line in roots)):
                yield pid, command


def _ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid:
        yield pid
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])


def _mounts() -> list[str]:
    """Mount points in the run directory, the outer ones first."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted(point for point in points if point.startswith(f"{RUN}/"))
