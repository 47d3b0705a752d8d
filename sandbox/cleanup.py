"""Finds and removes what a sandbox that was killed outright left on the machine.

Recognised are processes whose command line or temporary folder names the sandbox's run directory, or whose root file
system lies in it. A pager that shows one of its logs is one, and so are the plugins of a Pulumi that was killed.
So are mounts below the run directory, the host side of the veth pair to the node, the pods' cgroup, and the
directory itself.
All of these names are the sandbox's own, so another Kubernetes or container engine on the machine isn't touched.
Iptables rules, routes and sysctls need no removal: those of the cluster are in its network namespace and end with it.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from sandbox.cluster.remains import INTERFACE, cgroups, remove_cgroup, remove_cluster
from sandbox.host.paths import RUN

_SECONDS = 10


def leftovers() -> list[str]:
    """Everything of a sandbox that is on the machine, a line each; of a running one, too."""
    return [
        *(f"process {process.pid}: {command}" for process, command in _processes()),
        *(f"mount {path}" for path in _mounts()),
        *(f"network interface {path.name}" for path in (INTERFACE,) if path.exists()),
        *(f"cgroup {path}" for path in cgroups() if path.exists()),
        *(f"directory {path}" for path in (RUN,) if path.exists()),
    ]


def clean() -> None:
    """Removes all leftovers: also ends a sandbox that still runs, except for this process and its parents."""
    end = time.monotonic() + _SECONDS
    while processes := list(_processes()):
        for process, _ in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    for path in reversed(_mounts()):
        subprocess.run(["umount", "--lazy", path], check=False)
    remove_cluster()
    for cgroup in cgroups():
        remove_cgroup(cgroup)
    # What is mounted there may be the machine's own: never remove through a mount.
    if not _mounts():
        shutil.rmtree(RUN, ignore_errors=True)


def _processes() -> Iterator[tuple[psutil.Process, str]]:
    """The processes of a sandbox with their command lines."""
    itself = psutil.Process()
    spared = {itself, *itself.parents()}
    for process in psutil.process_iter():
        if process in spared:
            continue
        # OSError: it ended while its mounts were read.
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            command = " ".join(process.cmdline())
            mounts = Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()
            roots = (line for line in mounts if line.split()[4] == "/")
            is_temporary = process.environ().get("TMPDIR", "").startswith(f"{RUN}/")
            if command and (is_temporary or any(f"{RUN}/" in text for text in (command, *roots))):
                yield process, command


def _mounts() -> list[str]:
    """Mount points in the run directory, the outer ones first."""
    points = (partition.mountpoint for partition in psutil.disk_partitions(all=True))
    return sorted(point for point in points if point.startswith(f"{RUN}/"))
