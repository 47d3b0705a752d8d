"""A real Kubernetes control plane without nodes, which marks pods as running: an `up` takes seconds."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from sandbox.digitalocean.__main__ import Nameless
from sandbox.host.certificate_authority import Authority
from sandbox.host.process import Child
from sandbox.toolchain.build import tool
from tests.reliability.api_server_relay import Relay
from tests.support import PATIENCE, free_ports

_TOKEN = "administrator"  # noqa: S105 -- of a server on loopback, for as long as a test
_CONTROLLERS = (
    *("deployment-controller", "replicaset-controller", "endpoints-controller", "endpointslice-controller"),
    *("garbage-collector-controller", "namespace-controller", "serviceaccount-controller"),
)
_OWN_NAMESPACES = {"default", "kube-system", "kube-public", "kube-node-lease"}
Document = dict[str, Any]


class Nodeless(Nameless):
    """The clusters of an account, one after the other; each finds it empty. `relay` is what their stacks see of it."""

    def __init__(self, directory: Path, admits: Callable[[str], bool]) -> None:
        directory.mkdir()
        authority = Authority(directory, "nodeless")
        authority.server("api", ["127.0.0.1"])
        authority.key_pair("accounts")
        (directory / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        ports = free_ports(4)
        port = ports[2]
        url = f"https://127.0.0.1:{port}"
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(_KUBECONFIG.format(url=url, directory=directory, token=_TOKEN))
        context = ssl.create_default_context(cadata=authority.pem.decode())
        self._children = _start(directory, *ports)
        bearer = {"Authorization": f"Bearer {_TOKEN}"}
        self._api = httpx.Client(base_url=url, verify=context, headers=bearer, timeout=PATIENCE, trust_env=False)
        self._children["kube-apiserver"].wait_until(lambda: self._api.get("/readyz").is_success)
        self._api.post("/api/v1/nodes", json=_NODE).raise_for_status()
        (directory / "relay").mkdir()
        self.relay = Relay(url, context, _TOKEN, admits, directory / "relay")
        self.server, self.ca_pem, self.admin_token = self.relay.url, self.relay.ca_pem, _TOKEN
        self._ending = threading.Event()
        self._pretence = threading.Thread(target=self._pretend, daemon=True)
        self._pretence.start()

    def stop(self) -> None:
        """Ends a cluster: deletes everything of its stack. The control plane stays for the next one."""
        for service in self._items("/api/v1/services"):
            self._patch(f"/api/v1/namespaces/{_place(service, 'services')}", {"metadata": {"finalizers": None}})
        # Which objects of each kind are deleted, by name and labels.
        groups: dict[str, Callable[[str, dict[str, str]], bool]] = {
            "/api/v1/namespaces": lambda name, _: name not in _OWN_NAMESPACES,
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": lambda *_: True,
            "/apis/networking.k8s.io/v1/ingressclasses": lambda *_: True,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles": lambda _, labels: labels.get(_BY) == "Helm",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": lambda _, labels: labels.get(_BY) == "Helm",
        }

        def left() -> list[str]:
            return [
                f"{path}/{item['metadata']['name']}"
                for path, ours in groups.items()
                for item in self._items(path)
                if ours(item["metadata"]["name"], item["metadata"].get("labels", {}))
            ]

        while paths := left():
            for path in paths:
                self._api.delete(path)
            self._ending.wait(0.2)

    def end(self) -> None:
        self._ending.set()
        self._pretence.join()
        self.relay.stop()
        self._api.close()
        for child in reversed(self._children.values()):
            child.stop(1)

    def _pretend(self) -> None:
        """Plays the kubelet and the ingress controller: sets statuses to the desired state."""
        while not self._ending.wait(0.3):
            try:
                for pod in self._items("/api/v1/pods"):
                    path = f"/api/v1/namespaces/{_place(pod, 'pods')}"
                    if "deletionTimestamp" in pod["metadata"]:
                        self._api.delete(path, params={"gracePeriodSeconds": "0"})
                        continue
                    if "nodeName" not in pod["spec"]:
                        # Or a Service, which Pulumi waits for, would never get the pod as its endpoint.
                        self._api.post(f"{path}/binding", json=_binding(pod)).raise_for_status()
                    if pod["status"].get("phase") != "Running":
                        self._patch(f"{path}/status", {"status": _RUNNING})
                for ingress in self._items("/apis/networking.k8s.io/v1/ingresses"):
                    if not ingress["status"]["loadBalancer"]:
                        path = f"/apis/networking.k8s.io/v1/namespaces/{_place(ingress, 'ingresses')}/status"
                        self._patch(path, {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}})
            except httpx.HTTPError:
                continue

    def _items(self, path: str) -> list[Document]:
        items: list[Document] = self._api.get(path).raise_for_status().json().get("items") or []
        return items

    def _patch(self, path: str, change: Document) -> None:
        self._api.patch(path, json=change, headers={"Content-Type": "application/merge-patch+json"})


_BY = "app.kubernetes.io/managed-by"
_NODE: Document = {
    "metadata": {"name": "nobody"},
    "spec": {"providerID": "digitalocean://1"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
    },
}
_RUNNING = {
    "phase": "Running",
    "podIP": "10.0.0.1",
    "podIPs": [{"ip": "10.0.0.1"}],
    # Ready since long ago: a Deployment counts a pod as available only after its minReadySeconds.
    "conditions": [
        {"type": kind, "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
        for kind in ("Initialized", "PodScheduled", "ContainersReady", "Ready")
    ],
}
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: it
clusters: [{{name: it, cluster: {{server: "{url}", certificate-authority: "{directory}/ca.crt"}}}}]
users: [{{name: it, user: {{token: "{token}"}}}}]
contexts: [{{name: it, context: {{cluster: it, user: it}}}}]
"""


def _binding(pod: Document) -> Document:
    target = {"apiVersion": "v1", "kind": "Node", "name": _NODE["metadata"]["name"]}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}, "target": target}


def _place(item: Document, kind: str) -> str:
    return f"{item['metadata']['namespace']}/{kind}/{item['metadata']['name']}"


def _start(directory: Path, etcd: int, peer: int, port: int, controllers: int) -> dict[str, Child]:
    engine = tool("hyperkube")
    peers = f"http://127.0.0.1:{peer}"
    commands = {
        "etcd": [
            f"--data-dir={directory}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        ],
        "kube-apiserver": [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            # The address in the Service `kubernetes`: the program reads it, and nothing connects to it.
            "--advertise-address=10.0.0.1",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={directory}/api.crt",
            f"--tls-private-key-file={directory}/api.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={directory}/accounts.pub",
            f"--service-account-signing-key-file={directory}/accounts.key",
            f"--token-auth-file={directory}/tokens.csv",
            "--authorization-mode=RBAC",
        ],
        "kube-controller-manager": [
            f"--kubeconfig={directory}/kubeconfig",
            f"--service-account-private-key-file={directory}/accounts.key",
            "--bind-address=127.0.0.1",
            f"--secure-port={controllers}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false",
            "--kube-api-qps=300",
            "--kube-api-burst=600",
        ],
    }
    return {name: Child(name, [engine, name, *flags], logs=directory) for name, flags in commands.items()}
