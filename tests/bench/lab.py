"""The stack under test, in one of two setups."""

import time
from pathlib import Path
from typing import Any

import yaml

from sandbox.host.paths import PROJECT
from tests.bench.load import Client
from tests.e2e.stack import Stack, stack_file
from tests.support import eventually

SERVICES = [{"name": "foo", "path": "/foo", "build": "apps/foo"}, {"name": "bar", "path": "/bar", "build": "apps/bar"}]
Configuration = dict[str, Any]
CHECKED = 18.0
"""Seconds of five health checks of the load balancer, after which it sends requests to a new node."""
SETUPS: dict[str, Configuration] = {
    # The default size has no room for an autoscaler's pods.
    "one": {"nodeCount": 1, "nodeSize": "s-2vcpu-4gb", "services": SERVICES},
    "two": {
        "nodeCount": 2,
        "gateway": {"replicas": 2},
        # A limit that no request reaches: it is counted in the rate-limit store.
        "services": [service | {"replicas": 2, "rateLimit": {"second": 100_000}} for service in SERVICES],
    },
}
"""One pod of each on one node; and two of each on two nodes."""


class Lab(Stack):
    """The stack in one of the setups, with changes of its configuration and its nodes."""

    def __init__(self, folder: Path, setup: str) -> None:
        super().__init__(folder)
        self._file = folder / "Pulumi.sandbox.yaml"
        self.setup = setup
        self.client = Client()
        self._changed = False
        self.nodes = SETUPS[setup]["nodeCount"]

    def change(self, **changes: Any) -> None:  # noqa: ANN401 -- YAML
        """Deploys the setup's configuration with changes, which `settle` reverts."""
        self.configure(**changes)
        self.up()

    def configure(self, **changes: Any) -> None:  # noqa: ANN401 -- YAML
        document = stack_file(PROJECT / "Pulumi.sandbox.yaml")
        document["config"] |= SETUPS[self.setup] | changes
        self._file.write_text(yaml.safe_dump(document))
        self._changed = bool(changes)

    def services(self, **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- YAML
        """The setup's services, foo with changes; one that is None removes a key."""
        foo, bar = SETUPS[self.setup]["services"]
        return [{key: value for key, value in (foo | changes).items() if value is not None}, bar]

    @property
    def replicas(self) -> int:
        """The number of foo's pods in the setup."""
        return int(SETUPS[self.setup]["services"][0].get("replicas", 1))

    def pod(self, app: str) -> dict[str, Any]:
        """An app's first pod."""
        (pod, *_) = self.kubernetes("pods", "-A", "-l", f"app={app}")["items"]
        found: dict[str, Any] = pod
        return found

    @property
    def cluster(self) -> dict[str, Any]:
        (cluster,) = self.api("GET", "/v2/kubernetes/clusters")["kubernetes_clusters"]
        found: dict[str, Any] = cluster
        return found

    @property
    def pool(self) -> str:
        return f"/v2/kubernetes/clusters/{self.cluster['id']}/node_pools/{self.cluster['node_pools'][0]['id']}"

    def resize(self, count: int) -> None:
        self.api("PUT", self.pool, json={"name": self.cluster["node_pools"][0]["name"], "count": count})
        self.settle_nodes(count)

    def node_of(self, app: str) -> str:
        """The node of an app's first pod."""
        return str(self.pod(app)["spec"]["nodeName"])

    def settle_nodes(self, count: int, seconds: float = 180) -> None:
        def settled() -> bool:
            states = [node["status"]["state"] for pool in self.cluster["node_pools"] for node in pool["nodes"]]
            return states == ["running"] * count and len(self.kubernetes("nodes")["items"]) == count

        eventually(settled, seconds)

    def settle(self) -> None:
        """Reverts changes, and waits until every pod is ready and the load balancer has its nodes again."""
        self.client = Client()
        if self._changed:
            self.change()
        for node in self.kubernetes("nodes")["items"]:
            self.run("kubectl", "uncordon", node["metadata"]["name"])
        self.resize(self.nodes)

        eventually(self.is_whole, 180)
        if self.nodes > 1:
            self.spread()
            time.sleep(CHECKED)

    def is_whole(self) -> bool:
        """Reports whether every pod of every Deployment is ready."""
        deployments = self.kubernetes("deployments", "-A")["items"]
        return all(d["status"].get("readyReplicas") == d["spec"]["replicas"] for d in deployments)

    def has_pods(self, node: str) -> bool:
        """Reports whether a node has pods of Deployments that haven't been told to end."""
        pods = self.kubernetes("pods", "-A", f"--field-selector=spec.nodeName={node}")["items"]
        owners = [pod["metadata"]["ownerReferences"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return any(owner["kind"] == "ReplicaSet" for owner, *_ in owners)

    def is_ready(self, node: str) -> bool:
        conditions = self.kubernetes("node", node)["status"]["conditions"]
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def spread(self) -> None:
        """Moves one of two pods on the same node to the other node, which Kubernetes doesn't do by itself."""
        for name, namespace in (("kong", "kong"), ("foo-deployment", "default"), ("bar-deployment", "default")):
            app = name.removesuffix("-deployment")
            pods = self.kubernetes("pods", "-n", namespace, "-l", f"app={app}")["items"]
            if len({pod["spec"]["nodeName"] for pod in pods}) < self.nodes:
                self.run("kubectl", "delete", "pod", "-n", namespace, pods[0]["metadata"]["name"])
                self.run("kubectl", "rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=90s")
