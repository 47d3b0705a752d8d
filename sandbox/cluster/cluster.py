"""A real Kubernetes, as child processes in namespaces: one set for the control plane, one for each node."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx

from sandbox.cluster import control_plane, network
from sandbox.cluster.credentials import Credentials
from sandbox.cluster.drain import drain
from sandbox.cluster.linux_namespaces import PATH, Namespaces
from sandbox.cluster.network import PLACES
from sandbox.cluster.node import Node
from sandbox.cluster.remains import remove_cluster
from sandbox.cluster.worker import Worker, node_is_ready
from sandbox.host.addresses import CONTROL_PLANE, KUBERNETES_PORT, address
from sandbox.host.paths import LOGS, RUN
from sandbox.host.process import ANSWER_SECONDS, Child
from sandbox.host.tcp_forwarder import Target, TcpForwarder
from sandbox.toolchain.build import tool

_MANIFESTS = Path(__file__).parent / "manifests"
_START_SECONDS = 180
_DRAIN_SECONDS = 60


class NoPlaceError(Exception):
    """The network has no free range for another node."""


class Kubernetes:
    """One cluster; a machine has room for one at a time.

    Attributes:
        server: The API server's URL.
        ca_pem: The authority that signs the API server's certificate; known once started.
        admin_token: A cluster administrator's bearer token that never expires: for clients in this process only.
        kubeconfig: A kubeconfig file with that token (0600), for kubectl.
    """

    server = f"https://127.0.0.1:{KUBERNETES_PORT}"

    def __init__(self, *, token_webhook: str, report: Callable[[str], None]) -> None:
        """Prepares a cluster; nothing runs yet.

        Args:
            token_webhook: Where TokenReviews (authentication.k8s.io/v1) of bearer tokens that aren't the cluster's own
                are posted to: a URL on this machine's loopback. A token's answer is remembered for some 10 s.
            report: Gets a line for each step.
        """
        self.ca_pem = b""
        self.admin_token = ""
        self.kubeconfig = RUN / "kubeconfig"
        self._directory = RUN / "kubernetes"
        self._token_webhook = token_webhook
        self._report = report
        self._listener: socket.socket | None = None
        self._credentials: Credentials | None = None
        self._namespaces: Namespaces | None = None
        self._forwarder: TcpForwarder | None = None
        self._children: dict[str, Child] = {}
        self._workers: dict[str, Worker] = {}
        self._changing = threading.RLock()

    def start(self, node: Node) -> None:
        """Returns when the first node is Ready and cluster DNS is applied.

        Raises:
            ChildFailedError: a component ended, or wasn't ready in time.
            OSError, CalledProcessError: a port is taken, or a tool or a privilege is missing.
        """
        # The port is the lock as well: nothing of a cluster that runs already is touched.
        self._listener = socket.create_server(("127.0.0.1", KUBERNETES_PORT))
        try:
            self._start(self._listener, node)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the cluster and all in it at once, as the end of its droplets would. Idempotent."""
        with self._changing:
            if not self._listener:
                return
            for worker in self._workers.values():
                worker.stop()
            self._workers.clear()
            if self._forwarder:
                self._forwarder.stop()
            if self._namespaces:
                self._namespaces.end()
            for child in self._children.values():
                child.stop()
            remove_cluster()
            shutil.rmtree(self._directory, ignore_errors=True)
            self.kubeconfig.unlink(missing_ok=True)
            self._listener.close()
            self._listener = None

    def join(self, node: Node) -> None:
        """Starts a further node; returns when it is Ready.

        Raises:
            ChildFailedError: a component ended, or wasn't ready in time.
            NoPlaceError: there are too many nodes.
        """
        self._report(f"starting node {node.name}")
        worker = self._begin(node)
        worker.enforce_policies()
        with self._client() as client:
            worker.wait_until_ready(client)
        self._report(f"node {node.name} ready")

    def drain(self, node: str) -> None:
        """Cordons a node and evicts its pods, for as long as DOKS waits for budgets of disruption (shortened)."""
        with self._client() as client:
            if not drain(client, node, _DRAIN_SECONDS):
                self._report(f"node {node} isn't drained after {_DRAIN_SECONDS} s: it goes all the same")

    def leave(self, node: str) -> None:
        """Ends a node at once, as the end of its droplet would, and deletes its object. Idempotent.

        Raises:
            httpx.HTTPError: the API server refuses it.
        """
        self._end(node)
        with self._client() as client:
            _found(client.delete(f"/api/v1/nodes/{node}"))

    def mark(self, node: Node, before: Node) -> None:
        """Adds a node's labels, and replaces the taints of `before`. Labels that were removed stay, as on DOKS.

        Raises:
            httpx.HTTPError: the API server refuses it.
        """
        path = f"/api/v1/nodes/{node.name}"
        with self._client() as client:
            answer = client.get(path)
            if not _found(answer):
                return
            gone = {(taint["key"], taint["effect"]) for taint in before.taints}
            present = answer.json()["spec"].get("taints", [])
            taints = [taint for taint in present if (taint["key"], taint["effect"]) not in gone]
            change = {"metadata": {"labels": dict(node.labels)}, "spec": {"taints": [*taints, *node.taints]}}
            _found(client.patch(path, json=change, headers={"Content-Type": "application/merge-patch+json"}))

    def lose(self, node: str) -> None:
        """Ends a node at once, as a loss of power would, and returns when Kubernetes marks it as not ready."""
        self._end(node)
        with self._client() as client:
            while not _is_lost(client, node):
                time.sleep(1)

    def _end(self, node: str) -> None:
        with self._changing:
            worker = self._workers.pop(node, None)
            if not worker:
                return
            worker.stop()
            self._reach_services()
        self._report(f"node {node} ended")

    def _start(self, listener: socket.socket, node: Node) -> None:
        self._report("writing certificates and configuration")
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, mode=0o700)
        self._credentials = Credentials(self._directory, self._token_webhook)
        self.ca_pem, self.admin_token = self._credentials.ca_pem, self._credentials.admin_token
        (self._directory / "admin.kubeconfig").replace(self.kubeconfig)

        self._report("starting etcd, API server, controllers, scheduler, containerd, kubelet and kube-proxy")
        self._namespaces = Namespaces(self._directory, LOGS)
        network.connect_control_plane(self._namespaces)
        self._forwarder = self._connect(self._namespaces, listener)
        # All at once: each component retries until its dependencies run.
        for name, command in control_plane.commands(self._directory).items():
            self._children[name] = Child(name, self._namespaces.command(*command), env=PATH)
        worker = self._begin(node)

        with self._client() as client:
            self._wait(client, "kube-apiserver", "/api/v1/namespaces/kube-system")
            # Admission refuses CoreDNS's pod without it.
            self._wait(client, "kube-apiserver", "/apis/scheduling.k8s.io/v1/priorityclasses/system-cluster-critical")
            self._report("API server up; applying cluster DNS, waiting for the node")
            self._apply(_MANIFESTS)
            worker.enforce_policies()
            self._wait(client, "kube-apiserver", "/readyz")
            worker.wait_until_ready(client)
            # A namespace admits no pods before its service account exists.
            self._wait(client, "kube-controller-manager", "/api/v1/namespaces/default/serviceaccounts/default")
        self._report(f"node {node.name} ready")

    def _begin(self, node: Node) -> Worker:
        with self._changing:
            if not (self._credentials and self._namespaces and self._forwarder):
                raise NoPlaceError("the cluster has ended")
            taken = {worker.place for worker in self._workers.values()}
            place = next((place for place in PLACES if place not in taken), None)
            if place is None:
                raise NoPlaceError(f"the sandbox has places for {len(PLACES)} nodes")
            worker = self._workers[node.name] = Worker(
                node,
                place,
                directory=self._directory,
                credentials=self._credentials,
                control_plane=self._namespaces,
                forwarder=self._forwarder,
            )
            self._reach_services()
            return worker

    def _reach_services(self) -> None:
        if self._namespaces and self._workers:
            network.reach_services(self._namespaces, next(iter(self._workers.values())).place)

    def _connect(self, namespaces: Namespaces, listener: socket.socket) -> TcpForwarder:
        """Makes the API server reachable on the machine's loopback, and the webhook on the control plane's."""
        host, port = address(self._token_webhook)
        into_cluster = (listener, Target(CONTROL_PLANE, KUBERNETES_PORT))
        return TcpForwarder([into_cluster, (namespaces.listen(port), Target(host, port))])

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.server,
            headers={"Authorization": f"Bearer {self.admin_token}"},
            verify=ssl.create_default_context(cadata=self.ca_pem.decode()),
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )

    def _wait(self, client: httpx.Client, component: str, path: str) -> None:
        """Waits for `path`, which `component` makes."""
        self._children[component].wait_until(lambda: client.get(path).is_success, _START_SECONDS)

    def _apply(self, manifest: Path) -> None:
        command: control_plane.Command = [tool("kubectl"), f"--kubeconfig={self.kubeconfig}"]
        command += ["apply", "--server-side", f"--filename={manifest}"]
        # Without the machine's environment, which may have a proxy. kubectl keeps a cache in its home.
        subprocess.run(command, check=True, env=PATH | {"HOME": str(self._directory)}, stdout=subprocess.DEVNULL)


def _is_lost(client: httpx.Client, node: str) -> bool:
    try:
        return not node_is_ready(client, node)
    except httpx.TransportError:  # the API server may be unreachable
        return False


def _found(answer: httpx.Response) -> bool:
    """Returns whether an object is there.

    Raises:
        httpx.HTTPStatusError: the API server refuses the request.
    """
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return False
    answer.raise_for_status()
    return True
