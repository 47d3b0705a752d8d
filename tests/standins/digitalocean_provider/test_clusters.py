"""The `digitalocean` provider's clusters: its calls, its rules, and the flaws that it shares with the official one."""

import threading
import time
from typing import Any

import httpx
import pytest
import yaml
from pulumi.runtime.proto import provider_pb2

from sandbox.digitalocean.faults import Fault
from sandbox.digitalocean.provider.properties import UNKNOWN, Properties, decode, secrets_in
from tests.standins.digitalocean_provider.clusters import PROGRAM, cluster, pool
from tests.standins.digitalocean_provider.engine import TOKEN, Account, Engine, Refused, Stored
from tests.support import PATIENCE

ASSOCIATED = "kubernetes/clusters/ID/destroy_with_associated_resources"


def test_create_posts_the_cluster_polls_it_and_requests_credentials(account: Account, engine: Engine) -> None:
    account.settings.cluster_create = 0.1
    calls = account.calls_of(cluster, engine)
    assert account.calls[0] == (
        "POST",
        "kubernetes/clusters",
        {
            "name": "mycluster",
            "region": "nyc1",
            "version": "1.35.7-do.0",
            "ha": False,
            "node_pools": [
                {"name": "default", "size": "s-1vcpu-2gb", "count": 1, "tags": ["terraform:default-node-pool"]}
            ],
            "maintenance_policy": None,
            "auto_upgrade": False,
            "surge_upgrade": True,
        },
    )
    assert set(calls[1:-1]) == {"GET kubernetes/clusters/ID"}
    assert calls[-1] == "GET kubernetes/clusters/ID/credentials?expiry_seconds=0"


def test_a_created_cluster_is_stored_with_its_credentials_as_one_secret(engine: Engine) -> None:
    made = cluster(engine, tags=["shop"])
    state = made.state
    assert made.secrets == {"kubeConfigs"}
    assert made.inputs["__defaults"] == ["surgeUpgrade"]
    assert made.inputs["nodePool"]["__defaults"] == []
    assert state["clusterUrn"] == f"do:kubernetes:{made.id}"
    assert state["endpoint"] == "https://127.0.0.1:16443"
    assert state["status"] == "running"
    assert state["createdAt"].endswith(" +0000 UTC")
    assert state["tags"] == ["shop"]
    assert state["nodePool"]["tags"] == []
    assert state["nodePool"]["actualNodeCount"] == 1
    assert [node["status"] for node in state["nodePool"]["nodes"]] == ["running"]
    (kube_config,) = state["kubeConfigs"]
    raw = yaml.safe_load(kube_config["rawConfig"])
    assert raw["current-context"] == "do-nyc1-mycluster"
    assert raw["users"] == [{"name": "do-nyc1-mycluster-admin", "user": {"token": kube_config["token"]}}]
    assert kube_config["clientKey"] == ""


def test_an_unchanged_program_has_no_diff_even_after_a_refresh(engine: Engine) -> None:
    program = PROGRAM | {"tags": ["shop", "blue"]}
    made = engine.create("KubernetesCluster", program)
    assert engine.diff(made, program).changes == provider_pb2.DiffResponse.DIFF_NONE
    assert engine.diff(made, PROGRAM).changes == provider_pb2.DiffResponse.DIFF_SOME
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert refreshed.state == made.state
    assert not engine.diff(refreshed, program).diffs


def test_a_preview_makes_no_call_and_has_unknown_outputs(account: Account, engine: Engine) -> None:
    account.calls.clear()
    planned = engine.plan("KubernetesCluster", PROGRAM).properties
    assert account.calls == []
    assert secrets_in(planned) == {"kubeConfigs"}
    plan = decode(planned)
    assert plan["name"] == "mycluster"
    assert plan["ha"] is False
    assert {plan[key] for key in ("endpoint", "kubeConfigs", "vpcUuid", "clusterUrn")} == {UNKNOWN}
    assert plan["nodePool"]["nodes"] == UNKNOWN
    assert plan["nodePool"]["size"] == "s-1vcpu-2gb"


def test_a_cluster_that_fails_to_start_is_lost_from_the_state_and_billed(account: Account, engine: Engine) -> None:
    account.broken = "no capacity"
    with pytest.raises(Refused, match="Error creating Kubernetes cluster: no capacity") as refused:
        cluster(engine)
    assert refused.value.partial is None
    assert len(account.cloud.clusters.records) == 1


def test_a_create_that_times_out_loses_the_cluster(account: Account, engine: Engine) -> None:
    account.settings.cluster_create = 600
    with pytest.raises(Refused, match="Timeout waiting to create cluster") as refused:
        engine.create("KubernetesCluster", PROGRAM, seconds=0.1)
    assert refused.value.partial is None
    assert len(account.cloud.clusters.records) == 1
    # as many polls as fit, and two
    assert len(account.calls) == 1 + 5 + 2


def test_an_api_that_stays_broken_while_a_cluster_starts_loses_it(account: Account, engine: Engine) -> None:
    account.cloud.faults.append(Fault(method="GET", path="clusters/", status=503, times=None))
    with pytest.raises(Refused, match=r"Error trying to read cluster state: GET .*: 503 .*after 5 attempt") as refused:
        cluster(engine)
    assert refused.value.partial is None
    assert len(account.cloud.clusters.records) == 1


def test_a_cluster_whose_credentials_are_refused_is_stored_as_partial_and_an_update_requests_them_again(
    account: Account, engine: Engine
) -> None:
    account.cloud.faults.append(Fault(path="credentials", status=403))
    with pytest.raises(Refused, match="Unable to fetch Kubernetes credentials") as refused:
        cluster(engine)
    assert refused.value.partial
    identity, state = refused.value.partial
    assert identity in account.cloud.clusters.records
    assert state["kubeConfigs"] == []
    checked = engine.check("KubernetesCluster", PROGRAM)
    stored = Stored(checked["urn"], identity, checked["inputs"], state, set())
    repaired: list[Stored] = []
    calls = account.calls_of(lambda: repaired.append(engine.update(stored, PROGRAM)))
    assert calls[-1] == "GET kubernetes/clusters/ID/credentials?expiry_seconds=0"
    assert repaired[0].state["kubeConfigs"][0]["host"] == "https://127.0.0.1:16443"


@pytest.mark.parametrize(
    ("program", "path"),
    [
        (PROGRAM | {"region": "ams3"}, "region"),
        (PROGRAM | {"vpcUuid": "5a4981aa-9653-4bd1-bef5-d6bff52042e4"}, "vpcUuid"),
        (PROGRAM | {"clusterSubnet": "10.1.0.0/16"}, "clusterSubnet"),
        (PROGRAM | {"version": "1.35.6-do.9"}, "version"),
        (PROGRAM | {"version": "1.35"}, "version"),
        (pool(size="s-2vcpu-4gb"), "nodePool.size"),
    ],
)
def test_a_cluster_that_is_replaced_is_deleted_first(engine: Engine, program: Properties, path: str) -> None:
    answer = engine.diff(cluster(engine), program)
    assert list(answer.replaces) == [path]
    assert answer.deleteBeforeReplace


@pytest.mark.parametrize(
    ("program", "path", "calls"),
    [
        (PROGRAM | {"name": "renamed"}, "name", ["PUT kubernetes/clusters/ID"]),
        (PROGRAM | {"tags": ["shop"]}, "tags", ["PUT kubernetes/clusters/ID"]),
        (PROGRAM | {"ha": True}, "ha", ["PUT kubernetes/clusters/ID"]),
        (PROGRAM | {"version": "1.36.3-do.0"}, "version", ["POST kubernetes/clusters/ID/upgrade"]),
        (PROGRAM | {"destroyAllAssociatedResources": True}, "destroyAllAssociatedResources", []),
        (PROGRAM | {"kubeconfigExpireSeconds": 3600}, "kubeconfigExpireSeconds", []),
    ],
)
def test_a_cluster_is_updated_in_place(
    account: Account, engine: Engine, program: Properties, path: str, calls: list[str]
) -> None:
    made = cluster(engine)
    answer = engine.diff(made, program)
    assert list(answer.detailedDiff) == [path]
    assert not answer.replaces
    assert account.calls_of(engine.update, made, program) == [*calls, "GET kubernetes/clusters/ID"]


def test_update_does_not_wait_for_an_upgrade(account: Account, engine: Engine) -> None:
    account.settings.cluster_upgrade = 600
    updated = engine.update(cluster(engine), PROGRAM | {"version": "1.36.3-do.0"})
    assert updated.state["version"] == "1.35.7-do.0"


def test_update_waits_for_a_new_node_count(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    account.settings.node_create = 0.1
    updated = engine.update(made, pool(nodeCount=2))
    assert [node["status"] for node in updated.state["nodePool"]["nodes"]] == ["running", "running"]
    _, path, body = next(call for call in account.calls if call[0] == "PUT")
    assert path.endswith(made.state["nodePool"]["id"])
    assert body == {
        "name": "default",
        "count": 2,
        "tags": ["terraform:default-node-pool"],
        "taints": [],
        "auto_scale": False,
        "min_nodes": 0,
        "max_nodes": 0,
    }


def test_an_imported_cluster_never_gets_a_node_count_equal_to_the_actual_one(engine: Engine) -> None:
    made = cluster(engine)
    imported = engine.refresh(Stored(made.urn, made.id, {}, {}, set()))
    assert imported
    assert imported.state["nodePool"]["nodeCount"] == 0
    assert not engine.diff(imported, PROGRAM).diffs
    # The provider never reads registryIntegration, so its default shows beside another change.
    answer = engine.diff(imported, PROGRAM | {"destroyAllAssociatedResources": True})
    assert sorted(answer.detailedDiff) == ["destroyAllAssociatedResources", "registryIntegration"]
    updated = engine.update(imported, PROGRAM | {"tags": ["shop"]})
    assert updated.state["nodePool"]["nodeCount"] == 0
    assert updated.state["nodePool"]["actualNodeCount"] == 1
    assert not engine.diff(updated, PROGRAM | {"tags": ["shop"]}).diffs


def test_a_node_count_is_dropped_from_the_state_if_another_pool_is_listed_first(
    account: Account, engine: Engine
) -> None:
    made = cluster(engine)
    record = account.cloud.clusters.records[made.id]
    account.cloud.clusters.pools.add(record, {"name": "more", "size": "s-1vcpu-2gb", "count": 1})
    refreshed = engine.refresh(made)
    assert refreshed
    assert refreshed.state["nodePool"]["name"] == "default"
    assert refreshed.state["nodePool"]["nodeCount"] == 0
    assert not engine.diff(refreshed, PROGRAM).diffs


def test_inputs_of_a_failed_update_are_stored_and_not_retried(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    account.cloud.faults.append(Fault(method="PUT", status=422))
    with pytest.raises(Refused, match="Unable to update cluster") as refused:
        engine.update(made, PROGRAM | {"tags": ["shop"]})
    assert refused.value.partial
    identity, state = refused.value.partial
    assert identity == made.id
    assert state == made.state | {"tags": ["shop"]}


def test_a_refresh_shows_drift_and_a_newer_version_means_replacement(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    account.cloud.clusters.records[made.id].document["version"] = "1.35.8-do.0"
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert refreshed.inputs["version"] == "1.35.8-do.0"
    assert list(engine.diff(refreshed, PROGRAM).replaces) == ["version"]


def test_credentials_are_renewed_only_when_the_stored_date_has_passed(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    account.cloud.clusters.records[made.id].tokens.clear()
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert refreshed.state["kubeConfigs"] == made.state["kubeConfigs"]
    made.state["kubeConfigs"][0]["expiresAt"] = "2024-01-01T00:00:00Z"
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert refreshed.state["kubeConfigs"][0]["token"] != made.state["kubeConfigs"][0]["token"]
    assert refreshed.secrets == {"kubeConfigs"}


def test_a_delete_does_not_wait(account: Account, engine: Engine) -> None:
    account.settings.cluster_delete = 600
    made = cluster(engine)
    assert account.calls_of(engine.delete, made) == ["DELETE kubernetes/clusters/ID"]
    assert account.cloud.clusters.records[made.id].state == "deleted"


def test_a_cluster_in_a_state_unknown_to_the_provider_cannot_be_read(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    account.settings.deleting_state, account.settings.cluster_delete = "deleting", 600
    engine.delete(made)
    with pytest.raises(Refused, match='Error retrieving Kubernetes cluster: unknown cluster state "deleting"'):
        engine.refresh(made)


def test_a_delete_with_associated_resources_lists_them_first(account: Account, engine: Engine) -> None:
    account.settings.cluster_delete = 600
    made = cluster(engine, destroyAllAssociatedResources=True)
    assert account.calls_of(engine.delete, made) == [f"GET {ASSOCIATED}", f"DELETE {ASSOCIATED}/dangerous"]


def test_a_missing_cluster_can_be_deleted_except_with_associated_resources(account: Account, engine: Engine) -> None:
    made = cluster(engine)
    account.cloud.clusters.records.clear()
    engine.delete(made)
    made.state["destroyAllAssociatedResources"] = True
    with pytest.raises(Refused, match=r"Failed to list associated resources: GET .*: 404"):
        engine.delete(made)
    assert engine.refresh(made) is None


def test_an_auto_name_is_kept_and_allows_create_before_delete(engine: Engine) -> None:
    program = {key: value for key, value in PROGRAM.items() if key != "name"}
    made = engine.create("KubernetesCluster", program)
    assert made.inputs["name"].startswith("gateway-")
    assert len(made.inputs["name"]) == len("gateway-") + 7
    again = engine.check("KubernetesCluster", program, made.inputs, seed=b"2")
    assert again["inputs"]["name"] == made.inputs["name"]
    assert engine.check("KubernetesCluster", program, seed=b"2")["inputs"]["name"] != made.inputs["name"]
    answer = engine.diff(made, program | {"region": "ams3"})
    assert list(answer.replaces) == ["region"]
    assert not answer.deleteBeforeReplace


def test_an_interrupt_does_not_end_the_wait(account: Account, engine: Engine) -> None:
    account.settings.cluster_create = 0.3
    made: list[Stored] = []
    create = threading.Thread(target=lambda: made.append(cluster(engine)))
    create.start()
    while not account.cloud.clusters.records:
        time.sleep(0.01)
    engine.cancel()
    create.join()
    assert made[0].state["status"] == "running"


def test_a_request_with_a_lost_response_is_retried_though_it_took_effect(account: Account, engine: Engine) -> None:
    account.cloud.faults.append(Fault(method="POST", kind="drop_after"))
    with pytest.raises(Refused, match="a cluster with this name already exists"):
        cluster(engine)
    assert len(account.cloud.clusters.records) == 1


def test_429_is_retried_and_4xx_is_final(account: Account, engine: Engine) -> None:
    account.cloud.faults.append(Fault(method="POST", status=429, times=4, headers={"retry-after": "0"}))
    cluster(engine)
    account.calls.clear()
    with pytest.raises(Refused, match=r"POST .*/v2/kubernetes/clusters: 422 .*already exists"):
        cluster(engine)
    assert len(account.calls) == 1


def test_a_missing_token_fails_at_the_api_and_a_wrong_one_is_not_printed(
    engine: Engine, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN", raising=False)
    for config in ({}, {"token": "dop_v1_wrong"}):
        engine.configure(apiEndpoint=account.url, **config)
        with pytest.raises(Refused, match=r"401 .*Unable to authenticate you") as refused:
            cluster(engine)
        assert "dop_v1_wrong" not in str(refused.value)


def test_either_environment_variable_provides_the_token(
    engine: Engine, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITALOCEAN_API_URL", account.url)
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "")
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", TOKEN)
    engine.configure()
    assert cluster(engine).id in account.cloud.clusters.records


def imported(engine: Engine, account: Account, pools: int) -> Any:  # noqa: ANN401 -- a message
    """Imports a cluster that was made by hand, with this many pools."""
    body = {
        **{key: PROGRAM[key] for key in ("name", "region", "version", "ha")},
        "node_pools": [{"name": f"pool-{number}", "size": "s-1vcpu-2gb", "count": 1} for number in range(pools)],
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    created = httpx.post(
        f"{account.url}/v2/kubernetes/clusters", json=body, headers=headers, timeout=PATIENCE
    ).raise_for_status()
    urn = cluster_urn()
    return engine.rpc.Read(provider_pb2.ReadRequest(id=created.json()["kubernetes_cluster"]["id"], urn=urn))


def cluster_urn() -> str:
    return "urn:pulumi:dev::kong-doks::digitalocean:index/kubernetesCluster:KubernetesCluster::gateway"


def test_an_import_marks_the_only_pool_as_the_default_one(account: Account, engine: Engine) -> None:
    answer = imported(engine, account, pools=1)
    assert decode(answer.inputs)["nodePool"]["name"] == "pool-0"
    assert ("PUT", {"tags": ["k8s", f"k8s:{answer.id}", "k8s:worker", "terraform:default-node-pool"]}) in [
        (method, body) for method, _, body in account.calls
    ]


def test_an_import_of_a_cluster_with_several_pools_needs_the_default_tag(account: Account, engine: Engine) -> None:
    """Pulumi reports a missing cluster; the provider's reason is lost."""
    assert not imported(engine, account, pools=2).id
    assert [method for method, _, _ in account.calls if method == "PUT"] == []
