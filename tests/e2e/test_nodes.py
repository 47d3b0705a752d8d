"""Nodes of the stack's cluster that come and go: real ones, as on DigitalOcean, with requests all the while."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import inside
from tests.e2e.stack import Stack, control
from tests.support import eventually

Document = dict[str, Any]


class Pool:
    """The default pool of the stack's cluster, as DigitalOcean's API has it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        (cluster,) = stack.api("GET", "/v2/kubernetes/clusters")["kubernetes_clusters"]
        (pool,) = cluster["node_pools"]
        self.cluster = f"/v2/kubernetes/clusters/{cluster['id']}"
        self.path = f"{self.cluster}/node_pools/{pool['id']}"
        self.name = pool["name"]

    @property
    def nodes(self) -> list[Document]:
        nodes: list[Document] = self._stack.api("GET", self.path)["node_pool"]["nodes"]
        return nodes

    def resize(self, count: int) -> None:
        self._stack.api("PUT", self.path, json={"name": self.name, "count": count})
        self.wait(count)

    def wait(self, count: int) -> None:
        eventually(lambda: [node["status"]["state"] for node in self.nodes] == ["running"] * count)


@pytest.fixture(scope="module")
def pool(stack: Stack) -> Iterator[Pool]:
    """The pool with two nodes; one after these tests, as the others have it."""
    pool = Pool(stack)
    pool.resize(2)
    yield pool
    pool.resize(1)
    # Kong learns of pods that have moved some seconds later.
    eventually(lambda: is_settled(stack) and stack.serves("/foo", "/bar"))


def is_settled(stack: Stack) -> bool:
    """Reports whether the stack has one node, with every pod running on it, and one Droplet on its bill.

    Pods of DaemonSets and pods that have ended aren't waited for: no drain evicts them, and Kubernetes removes those of
    a node that has gone up to a minute later.
    """
    pods = [pod for pod in stack.kubernetes("pods", "--all-namespaces")["items"] if is_drained_from_nodes(pod)]
    nodes = {node["metadata"]["name"] for node in stack.kubernetes("nodes")["items"]}
    droplets = [entry for entry in control("GET", "ledger")["entries"] if entry["kind"] == "droplet"]
    return (
        len(nodes) == len([entry for entry in droplets if not entry["ended_at"]]) == 1
        and {pod["spec"].get("nodeName") for pod in pods} == nodes
        and all(status["ready"] for pod in pods for status in pod["status"].get("containerStatuses", []))
    )


def is_drained_from_nodes(pod: Document) -> bool:
    has_ended = pod["status"]["phase"] in {"Succeeded", "Failed"}
    return not has_ended and "DaemonSet" not in {owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])}


def nodes_of(stack: Stack, app: str) -> set[str]:
    """The nodes that an app's pods run on."""
    pods = stack.kubernetes("pods", "-l", f"app={app}")["items"]
    return {pod["spec"]["nodeName"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def spread(stack: Stack) -> None:
    """Two pods of foo, one on each node; bar's one pod is on either."""
    deployment = "deployment/foo-deployment"
    stack.run("kubectl", "scale", deployment, "--replicas=2")
    stack.run("kubectl", "rollout", "status", deployment, "--timeout=180s")


def test_an_added_node_has_its_pools_labels_and_a_droplet(stack: Stack, pool: Pool) -> None:
    by_name = {node["metadata"]["name"]: node for node in stack.kubernetes("nodes")["items"]}
    assert sorted(by_name) == sorted(node["name"] for node in pool.nodes)
    for node in pool.nodes:
        document = by_name[node["name"]]
        assert document["spec"]["providerID"] == f"digitalocean://{node['droplet_id']}"
        assert document["metadata"]["labels"]["doks.digitalocean.com/node-pool"] == pool.name
        assert document["metadata"]["labels"]["doks.digitalocean.com/node-id"] == node["id"]
    addresses = {node["status"]["addresses"][0]["address"] for node in by_name.values()}
    assert len(addresses) == 2


def test_labels_of_a_pool_stay_on_its_nodes_and_taints_are_removed(stack: Stack, pool: Pool) -> None:
    taint = {"key": "only", "value": "", "effect": "PreferNoSchedule"}

    def are_labelled(taints: int) -> bool:
        return all(
            node["metadata"]["labels"].get("tier") == "web" and len(node["spec"].get("taints", [])) == taints
            for node in stack.kubernetes("nodes")["items"]
        )

    for labels, taints in (({"tier": "web"}, [taint]), ({}, [])):
        stack.api("PUT", pool.path, json={"name": pool.name, "count": 2, "labels": labels, "taints": taints})
        eventually(lambda: are_labelled(len(taints)))  # noqa: B023 -- waited for in the loop


def test_pods_on_two_nodes_reach_each_other_and_resolve_services(stack: Stack, pool: Pool) -> None:
    stack.run("kubectl", "cordon", next(iter(nodes_of(stack, "foo"))))
    try:
        spread(stack)
        assert nodes_of(stack, "foo") == {node["name"] for node in pool.nodes}
        # Kong takes turns between the pods: half of the requests cross over.
        assert [stack.get("/foo").status_code for _ in range(10)] == [200] * 10
        for pod in stack.pods("foo"):
            program = "import socket; print(socket.gethostbyname('kong-proxy.kong.svc.cluster.local'))"
            assert stack.run("kubectl", "exec", pod, "--", "python3", "-c", program).stdout.startswith("10.96.")
    finally:
        for node in pool.nodes:
            stack.run("kubectl", "uncordon", node["name"])
        stack.run("kubectl", "scale", "deployment/foo-deployment", "--replicas=1")


@pytest.mark.soak
def test_a_node_whose_droplet_is_deleted_is_replaced_and_no_longer_billed(stack: Stack, pool: Pool) -> None:
    lost = pool.nodes[1]
    stack.api("DELETE", f"/v2/droplets/{lost['droplet_id']}")
    eventually(lambda: lost["name"] not in {node["name"] for node in pool.nodes})
    pool.wait(2)
    names = {node["metadata"]["name"] for node in stack.kubernetes("nodes")["items"]}
    assert names == {node["name"] for node in pool.nodes}
    billed = {entry["name"] for entry in control("GET", "ledger")["entries"] if entry["ended_at"] is None}
    assert lost["name"] not in billed
    assert names <= billed


@pytest.mark.soak
def test_a_recycled_node_is_drained_and_replaced(stack: Stack, pool: Pool) -> None:
    first = pool.nodes[0]
    stack.api("DELETE", f"{pool.path}/nodes/{first['id']}?replace=1")
    eventually(lambda: first["name"] not in {node["name"] for node in pool.nodes})
    pool.wait(2)
    assert first["name"] not in {node["metadata"]["name"] for node in stack.kubernetes("nodes")["items"]}
    # The load balancer resets connections until the new node has passed its checks.
    eventually(lambda: stack.serves("/foo", "/bar"))


@pytest.mark.soak
def test_a_disruption_budget_blocks_a_drain(stack: Stack, pool: Pool) -> None:
    spread(stack)
    stack.run("kubectl", "create", "poddisruptionbudget", "all", "--selector=app=foo", "--min-available=2")
    try:
        (node, *_) = nodes_of(stack, "foo")
        going = next(entry for entry in pool.nodes if entry["name"] == node)
        stack.api("DELETE", f"{pool.path}/nodes/{going['id']}?replace=1")
        eventually(lambda: "draining" in {entry["status"]["state"] for entry in pool.nodes})
        assert going["name"] in nodes_of(stack, "foo")
        stack.run("kubectl", "delete", "pdb", "all")
        eventually(lambda: going["name"] not in {entry["name"] for entry in pool.nodes})
        pool.wait(2)
    finally:
        stack.run("kubectl", "delete", "pdb", "all", "--ignore-not-found")
        stack.run("kubectl", "scale", "deployment/foo-deployment", "--replicas=1")


def test_more_nodes_than_the_machine_can_run_are_refused(pool: Pool) -> None:
    with pytest.raises(Exception, match="422") as refusal:
        pool.resize(5)
    assert "at most 4 nodes" in refusal.value.response.json()["message"]  # type: ignore[attr-defined]
    assert len(pool.nodes) == 2


@pytest.mark.soak
def test_an_unschedulable_pod_adds_a_node_that_is_removed_after_it(stack: Stack) -> None:
    # A pool of its own. On the default pool's small nodes DigitalOcean's pods alone request more than half, which keeps
    # them; and whether a pod finds room there depends on the tests before.
    cluster = Pool(stack).cluster
    bounds = {"auto_scale": True, "min_nodes": 1, "max_nodes": 2, "count": 1}
    size = {"name": "large", "size": "s-2vcpu-4gb"}
    created = stack.api("POST", f"{cluster}/node_pools", json=size | bounds)["node_pool"]
    path = f"{cluster}/node_pools/{created['id']}"

    def nodes() -> list[Document]:
        found: list[Document] = stack.api("GET", path)["node_pool"]["nodes"]
        return found

    def has_nodes(count: int) -> bool:
        return [node["status"]["state"] for node in nodes()] == ["running"] * count

    try:
        eventually(lambda: has_nodes(1))
        for name in ("first", "second"):
            # Namespace default admits restricted pods only: a Deployment of other pods would have none pending.
            pod = inside.pod(name, "python", "-c", "import time; time.sleep(3600)")
            pod["metadata"]["labels"] = {"app": name}
            pod["spec"]["nodeSelector"] = {"doks.digitalocean.com/node-pool": "large"}
            pod["spec"]["containers"][0]["resources"] = {"requests": {"memory": "1400Mi"}}
            refused = inside.create(stack, "default", pod)
            assert refused.returncode == 0, refused.stderr
            stack.run("kubectl", "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=180s")
        assert has_nodes(2)
        assert nodes_of(stack, "first") != nodes_of(stack, "second")
        (newest,) = nodes_of(stack, "second")
        stack.run("kubectl", "delete", "pod", "second")
        eventually(lambda: has_nodes(1))
        assert newest not in {node["name"] for node in nodes()}
        assert nodes_of(stack, "first") == {nodes()[0]["name"]}
    finally:
        stack.run("kubectl", "delete", "pod", "first", "second", "--ignore-not-found")
        stack.api("DELETE", path)
        selector = "doks.digitalocean.com/node-pool=large"
        eventually(lambda: not stack.kubernetes("nodes", "-l", selector)["items"])
