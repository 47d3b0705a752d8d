"""A running node: namespaces, containerd, kubelet, kube-proxy and the agent that enforces network policies."""

import shutil
from pathlib import Path

import httpx

from sandbox.cluster import network, network_policies, node
from sandbox.cluster.credentials import Credentials
from sandbox.cluster.linux_namespaces import PATH, Namespaces
from sandbox.cluster.network import Place
from sandbox.cluster.node import Node
from sandbox.cluster.remains import node_cgroups, remove_cgroup
from sandbox.host.addresses import API, MIRROR, REGISTRY, address
from sandbox.host.paths import LOGS
from sandbox.host.process import Child
from sandbox.host.tcp_forwarder import Route, Target, TcpForwarder

_READY_SECONDS = 180


class Worker:
    """A node from its start on. `stop` ends it at once, as the end of its droplet would."""

    def __init__(  # noqa: PLR0913 -- what a node shares with its cluster
        self,
        node: Node,
        place: Place,
        *,
        directory: Path,
        credentials: Credentials,
        control_plane: Namespaces,
        forwarder: TcpForwarder,
    ) -> None:
        """Starts everything but the agent, without waiting for the API server.

        Args:
            node: The node.
            place: Its place in the network.
            directory: The cluster's; the node makes one of its own in it.
            credentials: The cluster's.
            control_plane: The control plane's namespaces.
            forwarder: Leads from the node's loopback to the services of the machine's that a node needs.
        """
        self.node = node
        self.place = place
        self._cluster_directory = directory
        self._directory = directory / "nodes" / str(place.number)
        self._control_plane = control_plane
        self._forwarder = forwarder
        self._logs = LOGS / node.name
        self._children: dict[str, Child] = {}
        self._routes: list[Route] = []
        self._namespaces: Namespaces | None = None
        try:
            self._start(credentials)
        except BaseException:
            self.stop()
            raise

    def _start(self, credentials: Credentials) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        kubeconfig, certificate = credentials.add_node(self.node.name, self.place.address)
        node.configure(self.node, self.place, self._directory, self._cluster_directory / "ca.crt", certificate)
        namespaces = self._namespaces = Namespaces(self._directory, self._logs)
        network_policies.close(namespaces)
        network.connect_node(self._control_plane, namespaces, self.place)
        for url in (API, f"//{REGISTRY}", f"//{MIRROR}"):
            host, port = address(url)
            self._routes.append(self._forwarder.add(namespaces.listen(port), Target(host, port)))
        # All at once: each retries until its dependencies run. Only the kubelet gives up without its container runtime.
        commands = node.commands(self.node, self.place, self._directory, kubeconfig)
        for name, command in sorted(commands.items(), key=lambda item: item[0] == "kubelet"):
            if name == "kubelet":
                self._children["containerd"].wait_until(node.runtime_socket(self._directory).exists)
            self._run(name, namespaces.command(*command))

    def enforce_policies(self) -> None:
        """Starts the agent, which needs the API server, and waits until it answers."""
        if not self._namespaces:
            return
        namespaces, name = self._namespaces, network_policies.NAME
        command = network_policies.command(self.node.name, self._cluster_directory / f"{name}.kubeconfig")
        agent = self._run(name, namespaces.command(*command))
        agent.wait_until(lambda: network_policies.answers(namespaces))

    def wait_until_ready(self, client: httpx.Client) -> None:
        """Raises ChildFailedError: the kubelet ended, or the node wasn't ready in time."""
        self._children["kubelet"].wait_until(lambda: node_is_ready(client, self.node.name), _READY_SECONDS)

    def stop(self) -> None:
        """Idempotent."""
        for route in self._routes:
            self._forwarder.remove(route)
        self._routes.clear()
        if self._namespaces:
            self._namespaces.end()
            self._namespaces = None
            network.disconnect_node(self._control_plane, self.place)
        for child in self._children.values():
            child.stop()
        for cgroup in node_cgroups(self.place.number):
            remove_cgroup(cgroup)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, name: str, command: list[str | Path]) -> Child:
        child = self._children[name] = Child(name, command, env=PATH, logs=self._logs)
        return child


def node_is_ready(client: httpx.Client, name: str) -> bool:
    """Raises httpx.TransportError: the API server doesn't answer."""
    answer = client.get(f"/api/v1/nodes/{name}")
    conditions = answer.json()["status"].get("conditions", []) if answer.is_success else []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
