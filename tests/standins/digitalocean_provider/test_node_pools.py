"""The `digitalocean` provider's node pools beside the default one."""

import threading
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.digitalocean.faults import Fault
from sandbox.digitalocean.provider.properties import Properties
from tests.reliability.part import until
from tests.standins.account import FakeKubernetes
from tests.standins.digitalocean_provider.clusters import cluster, pool
from tests.standins.digitalocean_provider.engine import Account, Engine, Refused, Stored

NONE = provider_pb2.DiffResponse.DIFF_NONE


def program(owner: Stored, **changes: Any) -> Properties:  # noqa: ANN401 -- inputs
    return {"clusterId": owner.id, "name": "batch", "size": "s-2vcpu-4gb"} | changes


def scaled(owner: Stored, **changes: Any) -> Properties:  # noqa: ANN401 -- inputs
    return program(owner, autoScale=True, minNodes=1, maxNodes=3) | changes


def sent(account: Account, verb: str) -> Any:  # noqa: ANN401 -- JSON
    """The body of the last call for a pool."""
    return [body for method, path, body in account.calls if method == verb and "/node_pools" in path][-1]


def pools(account: Account, owner: Stored) -> dict[str, Any]:
    return {pool["name"]: pool for pool in account.cloud.clusters.records[owner.id].document["node_pools"]}


def test_create_waits_for_a_pool_which_is_billed(account: Account, engine: Engine) -> None:
    owner = cluster(engine)
    account.settings.node_create = 0.1
    taint = {"key": "batch", "value": "yes", "effect": "NoSchedule"}
    made = engine.create("KubernetesNodePool", program(owner, nodeCount=2, labels={"tier": "batch"}, taints=[taint]))
    assert [node["status"] for node in made.state["nodes"]] == ["running", "running"]
    assert (made.state["nodeCount"], made.state["actualNodeCount"]) == (2, 2)
    assert pools(account, owner)["batch"]["taints"] == [taint]
    assert sent(account, "POST") == {
        "name": "batch",
        "size": "s-2vcpu-4gb",
        "count": 2,
        "labels": {"tier": "batch"},
        # The official provider's Go client has no JSON names for the fields of a taint.
        "taints": [{"Key": "batch", "Value": "yes", "Effect": "NoSchedule"}],
    }
    assert sorted(entry.price_monthly for entry in account.cloud.ledger.entries) == [0, 12, 24, 24]
    assert engine.diff(made, made.inputs).changes == NONE


def test_an_autoscaled_pool_starts_at_its_minimum_and_its_count_is_no_diff(account: Account, engine: Engine) -> None:
    owner = cluster(engine)
    made = engine.create("KubernetesNodePool", scaled(owner))
    assert made.state["actualNodeCount"] == 1
    record = account.cloud.clusters.records[owner.id]
    account.cloud.clusters.pools.resize(record, pools(account, owner)["batch"], 3)
    for stored in (made, engine.refresh(made)):
        assert stored
        assert engine.diff(stored, scaled(owner)).changes == NONE
    assert engine.diff(made, scaled(owner, maxNodes=5)).changes == provider_pb2.DiffResponse.DIFF_SOME


def test_an_update_of_an_autoscaled_pool_resets_it_to_the_states_count(account: Account, engine: Engine) -> None:
    owner = cluster(engine)
    made = engine.create("KubernetesNodePool", scaled(owner))
    record = account.cloud.clusters.records[owner.id]
    account.cloud.clusters.pools.resize(record, pools(account, owner)["batch"], 3)
    engine.update(made, scaled(owner, maxNodes=5))
    assert pools(account, owner)["batch"]["count"] == 1


def test_the_default_pool_can_become_autoscaled(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    inputs = pool(autoScale=True, minNodes=1, maxNodes=3)
    del inputs["nodePool"]["nodeCount"]
    updated = engine.update(made, inputs)
    (own,) = pools(account, made).values()
    assert (own["auto_scale"], own["count"], own["min_nodes"], own["max_nodes"]) == (True, 1, 1, 3)
    assert engine.diff(updated, inputs).changes == NONE
    account.cloud.clusters.pools.resize(account.cloud.clusters.records[made.id], own, 2)
    until(lambda: {node["status"]["state"] for node in own["nodes"]} == {"running"})
    refreshed = engine.refresh(updated)
    assert refreshed
    assert engine.diff(refreshed, inputs).changes == NONE


@pytest.mark.parametrize(("key", "value"), [("size", "s-4vcpu-8gb"), ("clusterId", "other")])
def test_another_size_or_cluster_replaces_a_pool(engine: Engine, key: str, value: str) -> None:
    owner = cluster(engine)
    made = engine.create("KubernetesNodePool", program(owner, nodeCount=1))
    answer = engine.diff(made, program(owner, nodeCount=1) | {key: value})
    assert list(answer.replaces) == [key]
    # The program's name is an explicit one.
    assert answer.deleteBeforeReplace


def test_delete_drains_a_pool_and_waits(account: Account, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = cluster(engine)
    made = engine.create("KubernetesNodePool", program(owner, nodeCount=2))
    drained: list[str] = []
    blocked = threading.Event()

    def drain(_: FakeKubernetes, node: str) -> None:
        drained.append(node)
        blocked.wait()

    monkeypatch.setattr(FakeKubernetes, "drain", drain)
    end = threading.Thread(target=engine.delete, args=[made])
    end.start()
    until(lambda: len(drained) == 2)
    assert {node["status"]["state"] for node in pools(account, owner)["batch"]["nodes"]} == {"draining"}
    assert len(account.cloud.droplets) == 3
    blocked.set()
    end.join()
    assert list(pools(account, owner)) == ["default"]
    assert len(account.cloud.droplets) == 1
    with pytest.raises(Refused, match=r"Unable to delete node pool: .* 404"):
        engine.delete(made)


def test_a_pool_whose_nodes_fail_is_lost_from_the_state_and_billed(account: Account, engine: Engine) -> None:
    owner = cluster(engine)
    account.settings.node_create = 600
    with pytest.raises(Refused, match="Timeout waiting to create nodepool") as refused:
        engine.create("KubernetesNodePool", program(owner, nodeCount=1), seconds=0.1)
    assert refused.value.partial is None
    assert len(account.cloud.droplets) == 2


def test_a_missing_pool_is_dropped_from_the_state(account: Account, engine: Engine) -> None:
    owner = cluster(engine)
    made = engine.create("KubernetesNodePool", program(owner, nodeCount=1))
    account.cloud.faults.append(Fault(path="node_pools", status=404))
    assert engine.refresh(made) is None


def test_an_import_finds_the_cluster_and_refuses_a_default_pool(account: Account, engine: Engine) -> None:
    owner = cluster(engine)
    made = engine.create("KubernetesNodePool", program(owner, nodeCount=1))
    imported = engine.refresh(Stored(made.urn, made.id, {}, {}, set()))
    assert imported
    assert imported.state["clusterId"] == owner.id
    default = pools(account, owner)["default"]["id"]
    assert engine.refresh(Stored(made.urn, default, {}, {}, set())) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodeCount": 0}, "count must be at least 1"),
        ({"autoScale": True, "minNodes": 3, "maxNodes": 2}, "min_nodes must be at most max_nodes"),
        ({"nodeCount": 10}, "not enough available droplet limit"),
        ({"nodeCount": 1, "name": "default"}, "a node pool with this name already exists"),
        ({"nodeCount": 1, "size": "s-1vcpu-1gb"}, "invalid droplet size"),
    ],
)
def test_an_invalid_pool_is_refused(engine: Engine, changes: Properties, message: str) -> None:
    owner = cluster(engine)
    with pytest.raises(Refused, match=message):
        engine.create("KubernetesNodePool", program(owner) | changes)


@pytest.mark.parametrize("surge", [True, False])
def test_a_surge_upgrade_bills_old_and_new_nodes(
    account: Account, engine: Engine, monkeypatch: pytest.MonkeyPatch, *, surge: bool
) -> None:
    owner = cluster(engine, surgeUpgrade=surge)
    engine.create("KubernetesNodePool", program(owner, nodeCount=2))
    record = account.cloud.clusters.records[owner.id]
    before = {node["name"] for pool in record.document["node_pools"] for node in pool["nodes"]}
    steps: list[tuple[str, str, int]] = []
    monkeypatch.setattr(
        FakeKubernetes, "join", lambda _, node: steps.append(("join", node.name, len(account.cloud.droplets)))
    )
    monkeypatch.setattr(
        FakeKubernetes, "leave", lambda _, node: steps.append(("leave", node, len(account.cloud.droplets)))
    )
    account.cloud.clusters.upgrade(record, "1.36.3-do.0")
    until(lambda: record.state == "running")
    after = {node["name"] for pool in record.document["node_pools"] for node in pool["nodes"]}
    assert {name for step, name, _ in steps if step == "leave"} == before
    assert {name for step, name, _ in steps if step == "join"} == after
    assert len(after) == len(account.cloud.droplets) == 3
    assert before & after == set()
    assert all(pool["count"] == len(pool["nodes"]) for pool in record.document["node_pools"])
    assert record.document["version"] == "1.36.3-do.0"
    assert [(step, billed) for step, _, billed in steps[:2]] == (
        [("join", 4), ("leave", 4)] if surge else [("leave", 3), ("join", 3)]
    )


def test_an_upgrade_goes_to_a_later_patch_or_the_next_minor(account: Account, engine: Engine) -> None:
    owner = cluster(engine, version="1.34.10-do.0")
    record = account.cloud.clusters.records[owner.id]
    assert record.document["version"] == "1.34.10-do.0"
    with pytest.raises(Refused, match="invalid version slug"):
        engine.update(owner, owner.inputs | {"version": "1.36.3-do.0"})
    engine.update(owner, owner.inputs | {"version": "1.35.7-do.0"})
    until(lambda: record.document["version"] == "1.35.7-do.0")
