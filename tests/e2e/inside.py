"""A foreign pod in the cluster, addresses behind the node, and the connections that pods can make."""

import gzip
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import psutil

from sandbox.host.paths import CACHE, PROJECT, RUN
from tests.e2e.stack import Stack
from tests.support import eventually

METADATA, PRIVATE, PUBLIC = "169.254.169.254", "10.99.0.1", "203.0.113.7"
STRANGERS = "elsewhere"
STRANGER = ("-n", STRANGERS, "stranger")
FOO = ("deployment/foo-deployment",)

# Prints which of its arguments, host:port, it gets a connection to.
_CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def connects(target):
    host, _, port = target.rpartition(":")
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((host, int(port))) == 0

with ThreadPoolExecutor() as pool:
    print(*(target for target, yes in zip(sys.argv[1:], pool.map(connects, sys.argv[1:])) if yes))
"""


def pod(name: str, *command: str, **context: object) -> dict[str, Any]:
    """A restricted pod of Docker Hub's Python; `context` overrides its security context."""
    (image,) = set(re.findall(r"^FROM (\S+)", (PROJECT / "apps" / "foo" / "Dockerfile").read_text(), re.MULTILINE))
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "python", "image": image, "command": [*command], "securityContext": restricted | context}
    spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def create(stack: Stack, namespace: str, document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", "create", "-n", namespace, "-f", "-"],
        input=json.dumps(document),
        env=stack.environment,
        check=False,
        capture_output=True,
        text=True,
    )


def reached(stack: Stack, who: tuple[str, ...], *targets: str) -> set[str]:
    """The targets, host:port, that a pod gets a connection to."""
    return set(stack.run("kubectl", "exec", *who, "--", "python", "-c", _CONNECT, *targets).stdout.split())


def address(stack: Stack, *which: str) -> str:
    """The address of the one pod that there is."""
    pods = [item for item in stack.kubernetes("pods", *which)["items"] if "deletionTimestamp" not in item["metadata"]]
    (ip,) = [item["status"]["podIP"] for item in pods]
    return str(ip)


@contextmanager
def stranger(stack: Stack) -> Iterator[None]:
    """A pod in a namespace without any policy, which listens on 8080."""
    stack.run("kubectl", "create", "namespace", STRANGERS)
    try:
        made = create(stack, STRANGERS, pod("stranger", "python", "-m", "http.server", "8080", "--directory", "/tmp"))  # noqa: S108 -- in the pod
        assert made.returncode == 0, made.stderr
        stack.run("kubectl", "wait", "-n", STRANGERS, "pod/stranger", "--for=condition=Ready", "--timeout=180s")
        yield
    finally:
        stack.run("kubectl", "delete", "namespace", STRANGERS)


@contextmanager
def addresses_behind_the_node() -> Iterator[None]:
    """Servers like those outside of a real cluster: the cloud's metadata, a private network, the internet."""
    (kubelet,) = (
        process.pid
        for process in psutil.process_iter(["cmdline"])  # without those that end meanwhile
        if (words := process.info["cmdline"] or [])[1:2] == ["kubelet"] and str(RUN) in " ".join(words)
    )
    enter = ("nsenter", "--target", str(kubelet), "--net")
    for host in (METADATA, PRIVATE, PUBLIC):
        subprocess.run([*enter, "ip", "address", "add", f"{host}/32", "dev", "lo"], check=True)
    server = subprocess.Popen(
        [*enter, sys.executable, "-m", "http.server", "80", "--directory", "/var/empty"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        connect = "import socket; socket.create_connection(('127.0.0.1', 80))"
        eventually(
            lambda: (
                subprocess.run([*enter, sys.executable, "-c", connect], check=False, capture_output=True).returncode
                == 0
            )
        )
        yield
    finally:
        server.terminate()
        server.wait()
        for host in (METADATA, PRIVATE, PUBLIC):
            subprocess.run([*enter, "ip", "address", "delete", f"{host}/32", "dev", "lo"], check=True)


def contents_of_images() -> Iterator[tuple[str, bytes]]:
    """Every file of every layer, and every manifest and configuration, that this sandbox has written to a registry.

    The mirror keeps public images between runs, on a developer's machine hundreds of megabytes. What it had before this
    run can't have a secret of it.
    """
    started = (RUN / "mirror.yml").stat().st_mtime
    for storage in (RUN / "registry", CACHE / "mirror"):
        for blob in (storage / "docker" / "registry" / "v2" / "blobs").rglob("data"):
            if blob.stat().st_mtime < started:
                continue
            content = blob.read_bytes()
            if content[:2] != b"\x1f\x8b":
                yield str(blob), content
                continue
            with tarfile.open(fileobj=BytesIO(gzip.decompress(content))) as layer:
                for member in layer:
                    if member.isfile() and (file := layer.extractfile(member)):
                        yield f"{blob}: {member.name}", file.read()
