"""The calls of the account to a cluster's machines while nodes are added and removed, in order."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.digitalocean.kubernetes.records import NodeRecord
from tests.standins.account import Stand, served_account, until
from tests.support import PATIENCE

VERSION, NEXT = "1.34.10-do.0", "1.35.7-do.0"
Document = dict[str, Any]


class Machines:
    """Records its calls; node names are replaced by their order."""

    server, ca_pem, admin_token = "https://127.0.0.1:1", b"", ""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.records: list[NodeRecord] = []
        self.refusing = ""

    def start(self, node: NodeRecord) -> "Machines":
        self.records.append(node)
        return self

    def join(self, node: NodeRecord) -> None:
        self.records.append(node)
        self._note("join", node.name)

    def drain(self, node: str) -> None:
        self._note("drain", node)

    def leave(self, node: str) -> None:
        self._note("leave", node)

    def lose(self, node: str) -> None:
        self._note("lose", node)

    def mark(self, node: NodeRecord, before: NodeRecord) -> None:
        if (node.labels, node.taints) != (before.labels, before.taints):
            self._note("mark", node.name)

    def stop(self) -> None: ...

    def _note(self, call: str, name: str) -> None:
        if call == self.refusing:
            raise RuntimeError(f"{call}: refused")
        self.calls.append(f"{call} {[record.name for record in self.records].index(name) + 1}")


class Account:
    """An account with a cluster of two nodes."""

    def __init__(self, stand: Stand, machines: Machines) -> None:
        self.machines = machines
        self.cloud, self.http = stand.cloud, stand.http
        pool = {"name": "default", "size": "s-1vcpu-2gb", "count": 2}
        body = {"name": "c", "region": "nyc1", "version": VERSION, "surge_upgrade": True, "node_pools": [pool]}
        created = self.http.post("/v2/kubernetes/clusters", json=body).raise_for_status().json()["kubernetes_cluster"]
        self.cluster = f"/v2/kubernetes/clusters/{created['id']}"
        self.pool = f"{self.cluster}/node_pools/{created['node_pools'][0]['id']}"
        self.settle(2)
        self.machines.calls.clear()

    def settle(self, count: int) -> list[Document]:
        """Waits until a number of nodes run and nothing changes; returns them."""

        def settled() -> bool:
            (record,) = self.cloud.clusters.records.values()
            (pool,) = record.document["node_pools"]
            states = [node["status"]["state"] for node in pool["nodes"]]
            return record.state == "running" and states == ["running"] * count

        with self.cloud.scheduler.lock:
            assert self._wait(settled)
        nodes: list[Document] = self.http.get(self.pool).json()["node_pool"]["nodes"]
        return nodes

    def _wait(self, settled: Any) -> bool:  # noqa: ANN401 -- a function without arguments
        end = time.monotonic() + PATIENCE
        while not settled() and time.monotonic() < end:
            self.cloud.scheduler.lock.wait(0.02)
        return bool(settled())

    def degraded(self) -> Document:
        """Waits until the cluster isn't as it should be; returns it."""
        (record,) = self.cloud.clusters.records.values()
        with self.cloud.scheduler.lock:
            assert self._wait(lambda: record.state == "degraded")
        cluster: Document = self.http.get(self.cluster).json()["kubernetes_cluster"]
        return cluster


@pytest.fixture
def account() -> Iterator[Account]:
    machines = Machines()
    with served_account(lambda record: machines.start(record.node), machines=4) as stand:
        yield Account(stand, machines)


@pytest.mark.parametrize(("refusing", "count"), [("join", 3), ("drain", 1), ("leave", 1)])
def test_a_node_that_fails_to_start_or_stop_degrades_the_cluster(account: Account, refusing: str, count: int) -> None:
    account.machines.refusing = refusing
    body = {"name": "default", "count": count}
    account.http.put(account.pool, json=body).raise_for_status()
    cluster = account.degraded()
    assert cluster["status"] == {"state": "degraded", "message": f"{refusing}: refused"}
    states = [node["status"] for node in cluster["node_pools"][0]["nodes"] if "message" in node["status"]]
    assert [status["message"] for status in states] == [f"{refusing}: refused"]
    assert states[0]["state"] == {"join": "provisioning", "drain": "draining", "leave": "deleting"}[refusing]


def test_a_degraded_cluster_recovers_without_the_failed_node(account: Account) -> None:
    account.machines.refusing = "join"
    account.http.put(account.pool, json={"name": "default", "count": 3}).raise_for_status()
    account.degraded()
    account.machines.refusing = ""
    account.http.put(account.pool, json={"name": "default", "count": 2}).raise_for_status()
    account.settle(2)


@pytest.mark.parametrize(("refusing", "calls"), [("join", []), ("drain", ["join 3"]), ("leave", ["join 3", "drain 1"])])
def test_an_upgrade_that_fails_ends_degraded(account: Account, refusing: str, calls: list[str]) -> None:
    account.machines.refusing = refusing
    account.http.post(f"{account.cluster}/upgrade", json={"version": NEXT}).raise_for_status()
    assert account.degraded()["version"] == VERSION
    assert account.machines.calls == calls


def test_a_surge_upgrade_adds_a_node_before_it_drains_one(account: Account) -> None:
    account.http.post(f"{account.cluster}/upgrade", json={"version": NEXT}).raise_for_status()
    account.settle(2)
    order = ["join 3", "drain 1", "leave 1", "join 4", "drain 2", "leave 2"]
    assert account.machines.calls == order
    versions = [record.labels["doks.digitalocean.com/version"] for record in account.machines.records]
    assert versions == [VERSION, VERSION, NEXT, NEXT]
    assert account.http.get(account.cluster).json()["kubernetes_cluster"]["version"] == NEXT


def test_the_next_minor_is_offered_only_on_the_newest_patch(account: Account) -> None:
    def offered() -> list[str]:
        answer = account.http.get(f"{account.cluster}/upgrades").raise_for_status().json()
        return [version["slug"] for version in answer["available_upgrade_versions"]]

    assert offered() == [NEXT]
    account.cloud.settings.versions = (NEXT, "1.34.11-do.0", VERSION)
    assert offered() == ["1.34.11-do.0"]
    assert account.http.post(f"{account.cluster}/upgrade", json={"version": NEXT}).status_code == 422


def test_an_upgrade_without_surge_drains_first(account: Account) -> None:
    account.http.put(account.cluster, json={"name": "c", "surge_upgrade": False}).raise_for_status()
    account.http.post(f"{account.cluster}/upgrade", json={"version": NEXT}).raise_for_status()
    account.settle(2)
    assert account.machines.calls == ["drain 1", "leave 1", "join 3", "drain 2", "leave 2", "join 4"]


@pytest.mark.parametrize(
    ("query", "calls", "count"),
    [
        ("", ["drain 1", "leave 1"], 1),
        ("?skip_drain=1", ["leave 1"], 1),
        ("?replace=1", ["drain 1", "leave 1", "join 3"], 2),
        ("?replace=1&skip_drain=1", ["leave 1", "join 3"], 2),
    ],
)
def test_node_deletion_follows_the_query_parameters(account: Account, query: str, calls: list[str], count: int) -> None:
    first, _ = account.settle(2)
    account.http.delete(f"{account.pool}/nodes/{first['id']}{query}").raise_for_status()
    account.settle(count)
    assert account.machines.calls == calls
    assert account.http.get(account.pool).json()["node_pool"]["count"] == count


def test_a_node_whose_droplet_is_deleted_is_replaced_once_that_is_noticed(account: Account) -> None:
    first, second = account.settle(2)
    account.http.delete(f"/v2/droplets/{first['droplet_id']}").raise_for_status()
    until(lambda: len(account.machines.calls) == 3)
    assert account.machines.calls == ["lose 1", "leave 1", "join 3"]
    names = {node["name"] for node in account.settle(2)}
    assert second["name"] in names
    assert first["name"] not in names


def test_labels_of_a_pool_reach_its_nodes(account: Account) -> None:
    body = {"name": "default", "count": 2, "labels": {"tier": "web"}}
    account.http.put(account.pool, json=body).raise_for_status()
    until(lambda: len(account.machines.calls) == 2)
    assert sorted(account.machines.calls) == ["mark 1", "mark 2"]


def test_more_nodes_than_the_sandbox_can_run_are_refused(account: Account) -> None:
    refusal = account.http.put(account.pool, json={"name": "default", "count": 5})
    assert refusal.status_code == 422
    assert "at most 4 nodes, not 5" in refusal.json()["message"]
    assert len(account.settle(2)) == 2
