"""Finds suitable tools on the machine, and installs the Debian packages that it lacks."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sandbox.host.paths import CACHE
from sandbox.host.progress import Report
from sandbox.toolchain.errors import ToolsError
from sandbox.toolchain.modules import DOCKER_BUILD_PROVIDER, KUBERNETES_PROVIDER

# Plugins of the machine's own Pulumi fit in just this version, commands from a version on.
_PLUGINS = {
    "pulumi-resource-kubernetes": f"resource-kubernetes-v{KUBERNETES_PROVIDER}",
    "pulumi-resource-docker-build": f"resource-docker-build-v{DOCKER_BUILD_PROVIDER}",
}
_COMMANDS = {
    "pulumi": (("version",), r"v?(3)\.(\d+)\.", (3, 215)),
    "helm": (("version", "--short"), r"v(3)\.(\d+)\.", (3, 14)),
    "kubectl": (("version", "--client"), r"v(1)\.(\d+)\.", (1, 30)),
}

# What the machine lacks of these comes from Debian's packages.
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "mount": "mount",
}


@cache
def installed(name: str) -> Path | None:
    """The machine's own `name`, if there is one that fits."""
    if name in _PLUGINS:
        path = Path.home() / ".pulumi" / "plugins" / _PLUGINS[name] / name
        return path if path.exists() else None
    if name == "pulumi-language-python":
        # A language host belongs to its CLI: they are taken together or not at all.
        return _on_path(name) if installed("pulumi") else None
    return _if_version(name, *_COMMANDS[name]) if name in _COMMANDS else None


def install_packages(report: Report) -> None:
    """Installs the Debian packages that are missing.

    Raises:
        ToolsError: apt-get fails.
    """
    missing = [package for file, package in _PACKAGES.items() if not (shutil.which(file) or Path(file).exists())]
    if not missing:
        return
    with report.step(f"Debian packages: {' '.join(missing)}"):
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise ToolsError(f"apt-get {' '.join(command)} failed:\n{done.stderr.strip()}")


def _on_path(name: str) -> Path | None:
    """Finds a command on PATH, without the sandbox's own, which a shell may have there."""
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder).is_relative_to(CACHE)]
    path = shutil.which(name, path=os.pathsep.join(folders))
    return Path(path) if path else None


def _if_version(name: str, arguments: Sequence[str], pattern: str, least: tuple[int, int]) -> Path | None:
    if not (path := _on_path(name)):
        return None
    output = subprocess.run([path, *arguments], check=False, capture_output=True, text=True).stdout
    version = re.search(pattern, output)
    return path if version and (int(version[1]), int(version[2])) >= least else None
