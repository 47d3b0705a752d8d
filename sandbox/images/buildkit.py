"""BuildKit, and the file by which Pulumi's docker-build provider finds it as any user's buildx builder."""

import json
import os
import signal
import socket
from pathlib import Path

from sandbox.host.addresses import MIRROR, REGISTRY
from sandbox.host.paths import CACHE, RUN
from sandbox.host.process import Child
from sandbox.toolchain.build import tool

DOCKER_CONFIG = RUN / "docker"
"""Value of the environment variable of that name for Pulumi."""

_STORAGE = CACHE / "buildkit"  # kept: unchanged steps of a Dockerfile aren't run again
_SOCKET = RUN / "buildkitd.sock"
_NAME = "kong-doks"

# RUN steps have the machine's network. Their cgroup is in the pods', which goes with the sandbox.
_CONFIG = f"""\
root = "{_STORAGE}"
[cdi]
disabled = true
[grpc]
address = ["unix://{_SOCKET}"]
[worker.containerd]
enabled = false
[worker.oci]
binary = "runc"
networkMode = "host"
defaultCgroupParent = "kong-doks/build"
[registry."docker.io"]
mirrors = ["{MIRROR}"]
[registry."{MIRROR}"]
http = true
[registry."{REGISTRY}"]
http = true
"""

# When buildkitd ends, even by SIGKILL, the kernel ends its build steps and removes its mounts.
_NAMESPACES = ("unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")


class _BuildKit(Child):
    def stop(self, seconds: float = 5) -> None:
        if self.running():
            # unshare itself takes no SIGTERM and passes none on.
            for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                os.kill(int(pid), signal.SIGTERM)
        super().stop(seconds)


def start() -> Child:
    """Starts buildkitd.

    Raises:
        ChildFailedError: it isn't serving.
    """
    RUN.mkdir(parents=True, exist_ok=True)
    config = RUN / "buildkitd.toml"
    config.write_text(_CONFIG)
    child = _BuildKit("buildkitd", [*_NAMESPACES, tool("buildkitd"), "--config", config])
    child.wait_until(_serving)
    _describe()
    return child


def _serving() -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(_SOCKET))
    return True


def _describe() -> None:
    """Writes what `docker buildx create --use --driver remote` would."""
    buildx = DOCKER_CONFIG / "buildx"
    (buildx / "instances").mkdir(parents=True, exist_ok=True)
    node = {"Name": f"{_NAME}0", "Endpoint": f"unix://{_SOCKET}"}
    (buildx / "instances" / _NAME).write_text(json.dumps({"Name": _NAME, "Driver": "remote", "Nodes": [node]}))
    # Global: the builder to use wherever DOCKER_HOST points.
    (buildx / "current").write_text(json.dumps({"Key": "", "Name": _NAME, "Global": True}))
