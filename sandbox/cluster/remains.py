"""The cluster's remains outside its namespaces: the host side of a veth pair, cgroups, and mount points."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

LINK = "kongdoks0"
"""The host side of the veth pair to the cluster."""
INTERFACE = Path("/sys/class/net") / LINK
CGROUP = "kong-doks"
# containerd, the kubelet and the CNI plugins write to these paths whatever their options are.
HARD_CODED = (Path("/var/lib/cni"), Path("/var/lib/kubelet"))
_CGROUPS = Path("/sys/fs/cgroup")
_SECONDS = 10


def cgroups() -> list[Path]:
    """The pods' cgroup: one of each controller (cgroup v1) or a single one (v2), whether or not it is there yet."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS / CGROUP]
    return [controller / CGROUP for controller in _CGROUPS.iterdir() if not controller.is_symlink()]


def node_cgroup(number: int) -> Path:
    """The cgroup of a node's pods, below the controllers."""
    return Path(CGROUP) / "nodes" / str(number)


def node_cgroups(number: int) -> list[Path]:
    return [cgroup.parent / node_cgroup(number) for cgroup in cgroups()]


def remove_cluster() -> None:
    """Removes them, once the processes of all nodes have ended."""
    if INTERFACE.exists():
        # The kernel may remove it a moment later with the network namespace.
        subprocess.run(["ip", "link", "delete", LINK], check=False, stderr=subprocess.DEVNULL)
    for cgroup in cgroups():
        remove_cgroup(cgroup / "nodes")
        with contextlib.suppress(OSError):  # image builds are in it, too
            cgroup.rmdir()
    for path in HARD_CODED:
        with contextlib.suppress(OSError):  # not empty, or missing
            path.rmdir()


def remove_cgroup(cgroup: Path) -> None:
    """Removes a cgroup and those below; processes that were just killed may keep it for a moment."""
    end = time.monotonic() + _SECONDS
    while cgroup.exists() and time.monotonic() < end:
        for directory, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
        if cgroup.exists():
            time.sleep(0.02)
