"""A Pulumi stack as its user has it: the real CLI in a folder, kubectl, and requests to the gateway."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml

from sandbox.environment import environment
from sandbox.host.addresses import API
from sandbox.host.paths import PROJECT
from tests.support import PATIENCE, eventually, run


def stack_file(file: Path) -> dict[str, Any]:
    """Returns a stack file whose own keys have no namespace, as they are before Pulumi writes the file."""
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document | {"config": {key.removeprefix("kong-doks:"): value for key, value in document["config"].items()}}


def copy_checkout(folder: Path, without: tuple[str, ...] = ()) -> None:
    """Copies the files of the checkout that git doesn't ignore, with their times; leaves out paths with a prefix."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        source = PROJECT / name
        if (source.is_symlink() or source.is_file()) and not name.startswith(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)


class Stack:
    """The stack `name` of the project in `folder`; made if it isn't there."""

    def __init__(self, folder: Path, name: str = "sandbox") -> None:
        self.folder = folder
        self.name = name
        self.calls_of_first_preview: list[dict[str, Any]] = []
        self.address = ""
        """The gateway's, once the stack is up and has a load balancer."""
        self.environment = os.environ | environment() | {"KUBECONFIG": str(folder / "kubeconfig")}
        self.run("pulumi", "stack", "select", "--create", name, "--non-interactive")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(command, self.folder, self.environment, check=check)

    def types(self, commands: str) -> str:
        """Runs commands in a shell as a person types them who has selected the stack; returns what they print.

        The packages are on the path, and Pulumi asks for no confirmation.
        """
        variables = {"PULUMI_SKIP_CONFIRMATIONS": "true", "PULUMI_STACK": self.name}
        virtual_environment = self.folder / ".venv"
        if not virtual_environment.exists():
            virtual_environment.symlink_to(PROJECT / ".venv")
        try:
            with_variables = [f"{name}={value}" for name, value in variables.items()]
            return self.run("env", *with_variables, "bash", "-euo", "pipefail", "-c", commands).stdout
        finally:
            virtual_environment.unlink()

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", *arguments, "--non-interactive", "--stack", self.name, check=check)

    def up(self) -> str:
        """`pulumi up`; returns what it printed."""
        printed = self.pulumi("up", "--yes", "--skip-preview").stdout
        outputs = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets").stdout)
        self.address = outputs.get("proxy_ip", "")
        if self.name == "sandbox":
            (self.folder / "kubeconfig").write_text(outputs["kubeconfig"])
        return printed

    def output(self, name: str) -> str:
        return self.pulumi("stack", "output", name, "--show-secrets").stdout.strip()

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state, secrets encrypted."""
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export").stdout)
        resources: list[dict[str, Any]] = exported["deployment"].get("resources", [])
        return resources

    def cluster_urn(self) -> str:
        kind = "digitalocean:index/kubernetesCluster:KubernetesCluster"
        return next(str(resource["urn"]) for resource in self.resources() if resource["type"] == kind)

    def kubernetes(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get` as data."""
        got: dict[str, Any] = json.loads(self.run("kubectl", "get", *arguments, "-o", "json").stdout)
        return got

    def pods(self, app: str) -> list[str]:
        """The names of the pods with label app=`app` that aren't going away."""
        items = self.kubernetes("pods", "-l", f"app={app}")["items"]
        return sorted(pod["metadata"]["name"] for pod in items if "deletionTimestamp" not in pod["metadata"])

    def kong_pod(self) -> dict[str, Any]:
        """Kong's pod; while it is replaced, the new one."""
        pods = self.kubernetes("pods", "-n", "kong")["items"]
        (pod,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        found: dict[str, Any] = pod
        return found

    def kong(self, port: int, path: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The answer of a port of Kong's pod, from the node, where no policy applies."""
        name = self.kong_pod()["metadata"]["name"]
        return self.run(
            "kubectl", "get", "--raw", f"/api/v1/namespaces/kong/pods/{name}:{port}/proxy{path}", check=check
        )

    def api(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 -- JSON, or a text that isn't
        """A call to DigitalOcean's API."""
        headers = {"Authorization": f"Bearer {self.environment['DIGITALOCEAN_TOKEN']}"}
        answer = httpx.request(method, f"{API}{path}", headers=headers, timeout=PATIENCE, **options).raise_for_status()
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 -- httpx's own options
        with httpx.Client(**options) as client:
            return client.get(f"http://{self.address}{path}", timeout=30)

    def serves(self, *paths: str) -> bool:
        """Reports whether each of the paths is answered with 200."""
        try:
            return {self.get(path).status_code for path in paths} == {200}
        except httpx.TransportError:
            return False


def control(method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 -- JSON
    """Calls a control endpoint of DigitalOcean's stand-in."""
    return httpx.request(method, f"{API}/_control/{path}", timeout=PATIENCE, **options).raise_for_status().json()


def connects(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def nothing_is_billed() -> None:
    """Deletes take effect after they are answered: waits for that."""
    eventually(lambda: all(entry["ended_at"] for entry in control("GET", "ledger")["entries"]))
