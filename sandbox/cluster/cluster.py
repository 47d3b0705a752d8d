"""A real Kubernetes with one node, as child processes in namespaces of their own."""

import json
import secrets
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx

from sandbox.cluster import control_plane, network_policies, node
from sandbox.cluster.linux_namespaces import PATH, Namespaces
from sandbox.cluster.node import Node
from sandbox.cluster.remains import remove_node
from sandbox.host.addresses import API, KUBERNETES_PORT, MIRROR, NODE, REGISTRY, address
from sandbox.host.certificate_authority import Authority
from sandbox.host.paths import RUN
from sandbox.host.process import Child
from sandbox.host.tcp_forwarder import Target, TcpForwarder
from sandbox.toolchain.build import tool

__all__ = ["Kubernetes", "Node"]

_MANIFESTS = Path(__file__).parent / "manifests"
_START_SECONDS = 90


class Kubernetes:
    """One cluster; a machine has room for one at a time.

    Attributes:
        server: The API server's URL.
        ca_pem: The authority that signs the API server's certificate; known once started.
        admin_token: A cluster administrator's bearer token that never expires: for clients in this process only.
        kubeconfig: A kubeconfig file with that token (0600), for kubectl.
    """

    server = f"https://127.0.0.1:{KUBERNETES_PORT}"

    def __init__(self, node: Node, *, token_webhook: str, report: Callable[[str], None]) -> None:
        """Nothing runs yet.

        Args:
            node: The worker node.
            token_webhook: Where TokenReviews (authentication.k8s.io/v1) of bearer tokens that aren't the cluster's own
                are posted to: a URL on this machine's loopback. A token's answer is remembered for some 10 s.
            report: Gets a line for each step.
        """
        self.ca_pem = b""
        self.admin_token = secrets.token_hex(32)
        self.kubeconfig = RUN / "kubeconfig"
        self._directory = RUN / "kubernetes"
        self._node = node
        self._token_webhook = token_webhook
        self._report = report
        self._listener: socket.socket | None = None
        self._namespaces: Namespaces | None = None
        self._forwarder: TcpForwarder | None = None
        self._children: dict[str, Child] = {}

    def start(self) -> None:
        """Returns when the node is Ready and cluster DNS is applied.

        Raises:
            ChildFailedError: a component ended, or wasn't ready in time.
            OSError, CalledProcessError: a port is taken, or a tool or a privilege is missing.
        """
        # The port is the lock as well: nothing of a cluster that runs already is touched.
        self._listener = socket.create_server(("127.0.0.1", KUBERNETES_PORT))
        try:
            self._start(self._listener)
        except BaseException:
            self.stop()
            raise

    def join(self, node: object) -> None:
        """Does nothing: the cluster has one machine."""

    def drain(self, node: str) -> None:
        """Does nothing: the cluster has one machine."""

    def leave(self, node: str) -> None:
        """Does nothing: the cluster has one machine."""

    def stop(self) -> None:
        """Ends the cluster and all in it at once, as the end of its droplets would. Idempotent."""
        if not self._listener:
            return
        if self._forwarder:
            self._forwarder.stop()
        if self._namespaces:
            self._namespaces.end()
        for child in self._children.values():
            child.stop()
        remove_node()
        shutil.rmtree(self._directory, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)
        self._listener.close()
        self._listener = None

    def _start(self, listener: socket.socket) -> None:
        self._report("writing certificates and configuration")
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, mode=0o700)
        self._write_credentials()
        node.configure(self._node, self._directory)

        self._report("starting etcd, API server, controllers, scheduler, containerd, kubelet and kube-proxy")
        self._namespaces = Namespaces(self._directory)
        network_policies.close(self._namespaces)
        self._forwarder = self._connect(self._namespaces, listener)
        # All at once: each tries until what it needs is there. Only the kubelet gives up without its container runtime.
        commands = control_plane.commands(self._directory) | node.commands(self._node, self._directory)
        for name, command in sorted(commands.items(), key=lambda item: item[0] == "kubelet"):
            if name == "kubelet":
                self._children["containerd"].wait_until(node.runtime_socket(self._directory).exists)
            self._children[name] = Child(name, self._namespaces.command(*command), env=PATH)

        with self._client() as client:
            self._wait(client, "kube-apiserver", "/api/v1/namespaces/kube-system")
            # Admission refuses CoreDNS's pod without it.
            self._wait(client, "kube-apiserver", "/apis/scheduling.k8s.io/v1/priorityclasses/system-cluster-critical")
            self._report("API server up; applying cluster DNS, waiting for the node")
            self._apply(_MANIFESTS)
            self._start_network_policies(self._namespaces)
            self._wait(client, "kube-apiserver", "/readyz")
            self._children["kubelet"].wait_until(lambda: _ready(client, self._node.name), _START_SECONDS)
            # A namespace refuses pods until its service account is there.
            self._wait(client, "kube-controller-manager", "/api/v1/namespaces/default/serviceaccounts/default")
        self._report(f"node {self._node.name} ready")

    def _start_network_policies(self, namespaces: Namespaces) -> None:
        name = network_policies.NAME
        command = network_policies.command(self._node.name, self._directory / f"{name}.kubeconfig")
        agent = self._children[name] = Child(name, namespaces.command(*command), env=PATH)
        agent.wait_until(lambda: network_policies.answers(namespaces))

    def _connect(self, namespaces: Namespaces, listener: socket.socket) -> TcpForwarder:
        """Makes the API server reachable on the machine's loopback, and the sandbox's services on the node's."""
        services = {address(url) for url in (API, f"//{REGISTRY}", f"//{MIRROR}", self._token_webhook)}
        into_node = (listener, Target(NODE, KUBERNETES_PORT))
        return TcpForwarder([into_node, *((namespaces.listen(port), Target(host, port)) for host, port in services)])

    def _write_credentials(self) -> None:
        authority = Authority(self._directory, "kong-doks")
        self.ca_pem = authority.pem
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        addresses = ("127.0.0.1", NODE, control_plane.KUBERNETES_SERVICE)
        authority.server("kube-apiserver", ["localhost", *service, *addresses])
        authority.server("kubelet", [self._node.name, NODE])
        authority.client("kubelet-client", group="system:masters")
        authority.client(control_plane.AGGREGATOR)
        authority.key_pair("service-accounts")

        # Static tokens, not client certificates: half the files, and as good on a loopback.
        users = {
            "admin": ("admin", "system:masters"),
            "kube-controller-manager": ("system:kube-controller-manager", ""),
            "kube-scheduler": ("system:kube-scheduler", ""),
            "kube-proxy": ("system:kube-proxy", ""),
            network_policies.NAME: ("system:network-policies", ""),
            "kubelet": (f"system:node:{self._node.name}", "system:nodes"),
        }
        rows = []
        for name, (user, group) in users.items():
            token = self.admin_token if name == "admin" else secrets.token_hex(32)
            rows.append(f"{token},{user},{user},{group}\n")
            self._write_kubeconfig(
                name, {"server": self.server, "certificate-authority": f"{self._directory}/ca.crt"}, token
            )
        (self._directory / "admin.kubeconfig").replace(self.kubeconfig)
        self._write_secret("tokens.csv", "".join(rows))
        self._write_kubeconfig("token-webhook", {"server": self._token_webhook})

    def _write_kubeconfig(self, name: str, cluster: dict[str, str], token: str | None = None) -> None:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token} if token else {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        self._write_secret(f"{name}.kubeconfig", json.dumps(content))

    def _write_secret(self, name: str, content: str) -> None:
        path = self._directory / name
        path.touch(mode=0o600)
        path.write_text(content)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.server,
            headers={"Authorization": f"Bearer {self.admin_token}"},
            verify=ssl.create_default_context(cadata=self.ca_pem.decode()),
            timeout=5,
            trust_env=False,
        )

    def _wait(self, client: httpx.Client, component: str, path: str) -> None:
        """Waits for `path`, which `component` makes."""
        self._children[component].wait_until(lambda: _get(client, path).is_success, _START_SECONDS)

    def _apply(self, manifest: Path) -> None:
        command: control_plane.Command = [tool("kubectl"), f"--kubeconfig={self.kubeconfig}"]
        command += ["apply", "--server-side", f"--filename={manifest}"]
        # Without the machine's environment, which may have a proxy. kubectl keeps a cache in its home.
        subprocess.run(command, check=True, env=PATH | {"HOME": str(self._directory)}, stdout=subprocess.DEVNULL)


def _get(client: httpx.Client, path: str) -> httpx.Response:
    try:
        return client.get(path)
    except httpx.TransportError as error:
        raise ConnectionError(str(error)) from error  # to `Child.wait_until` the same as a refusal: not yet


def _ready(client: httpx.Client, node_name: str) -> bool:
    node = _get(client, f"/api/v1/nodes/{node_name}").json()
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
