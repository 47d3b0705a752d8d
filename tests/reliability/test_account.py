"""Failures of DigitalOcean's calls and of the commands themselves: every recovery ends at zero."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.preflight import scopes
from ops.pulumi.state import CLUSTER
from tests.reliability.part import QUIET, Part, delete_default_pool, until
from tests.reliability.sweep import Sweep
from tests.reliability.whole import Planned
from tests.standins.digitalocean_provider.engine import TOKEN


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part = Part(tmp_path)
    yield part
    part.account.stop()


def test_transient_errors_are_retried(part: Part) -> None:
    planted: list[dict[str, Any]] = [
        {"method": "POST", "path": "kubernetes/clusters$", "status": 429, "headers": {"Retry-After": "1"}},
        {"method": "GET", "path": "kubernetes/clusters/", "status": 503, "times": 3},
        {"method": "POST", "path": "registry$", "status": 500, "times": 2},
        {"method": "GET", "path": "docker-credentials", "kind": "refuse"},
        {"method": "DELETE", "path": "dangerous", "kind": "drop_after"},
        {"method": "DELETE", "path": "regist", "status": 502},
    ]
    for fault in planted:
        part.fault(**fault)
    part.up()
    assert part.ends_at_zero()
    assert {fault.times for fault in part.account.cloud.faults} == {0}
    assert part.clusters_ever() == 1


@pytest.mark.soak
def test_a_sample_of_the_sweep_converges(part: Part) -> None:
    sweep = Sweep(part)
    last = sweep.length["destroy"] - 1
    assert re.fullmatch("up by .*, destroy by .*", sweep.case("unanswered", last))
    assert sweep.figures["cuts"] == sweep.figures["converged"] == 2
    assert (sweep.figures["orphans"], sweep.figures["duplicates"]) == (0, 0)


@pytest.mark.soak
def test_the_listed_scopes_are_enough_and_each_is_used(part: Part) -> None:
    listed = {"kubernetes:read", *scopes.CLUSTER, *scopes.REGISTRY}
    part.account.cloud.tokens = {TOKEN: sorted(listed | {"tag:read"})}  # needed for an attribute, not for a call
    part.up()
    part.configure(nodeCount=2, registry={"kind": "digitalocean", "tier": "basic"})
    part.up()
    part.destroy()
    assert part.scopes_used() == listed


def test_a_cluster_whose_create_response_was_lost_is_adopted(part: Part) -> None:
    part.fault(method="POST", path="kubernetes/clusters$", kind="drop_after")
    failed = part.up(check=False)
    assert failed.returncode != 0
    assert "a cluster with this name already exists" in failed.stdout
    assert part.account.cloud.ledger.hourly > 0
    part.mend()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_cluster_that_outlasted_the_providers_timeout_is_adopted(part: Part) -> None:
    # The provider polls five times, then loses the cluster.
    part.fault(method="GET", path="kubernetes/clusters/[^/]+$", status=500, times=5)
    assert part.up(check=False).returncode != 0
    part.mend()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_cluster_that_failed_to_start_is_removed(part: Part) -> None:
    part.account.broken = "no capacity"
    assert "no capacity" in part.up(check=False).stdout
    part.account.broken = ""
    (finding,) = part.doctor()
    assert "error), $12.00 a month, is not in the state, and will never run" in finding["problem"]
    assert part.run("python", "-m", "ops", "remove", "cluster", _cluster(part), "--yes").returncode == 0
    until(lambda: not part.account.cloud.clusters.records)
    part.up()
    assert part.ends_at_zero()


def _cluster(part: Part) -> str:
    return next(iter(part.account.cloud.clusters.records))


@pytest.mark.soak
def test_an_up_after_a_killed_one_adopts_the_cluster(part: Part) -> None:
    part.account.settings.cluster_create = 2
    part.cut("up", signal.SIGKILL, lambda: part.has("POST", "/v2/kubernetes/clusters"))
    until(lambda: part.account.cloud.clusters.records[_cluster(part)].state == "running")
    typed = part.mend()
    assert typed[0].startswith("pulumi cancel")
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_destroy_and_doctor_after_a_killed_up_end_at_zero(part: Part) -> None:
    part.account.settings.cluster_create = 3600
    said: list[str] = []

    def doctor_says_wait() -> bool:
        if part.has("POST", "/v2/kubernetes/clusters"):
            said.extend(finding["problem"] for finding in part.doctor())
        return bool(said)

    part.cut("up", signal.SIGKILL, doctor_says_wait)
    (problem,) = said
    assert "is changing the stack: wait for it" in problem
    locked = part.destroy(check=False)
    assert "the stack is currently locked" in locked.stdout + locked.stderr
    part.run("sh", "-c", part.doctor()[0]["fixes"][0][0])
    part.destroy()
    bill = part.run("python", "-m", "ops", "bill", "--expect-zero", check=False)
    assert bill.returncode == 1
    assert "mycluster" in bill.stdout
    part.run("python", "-m", "ops", "remove", "cluster", _cluster(part), "--yes")
    assert part.ends_at_zero()


@pytest.mark.soak
def test_an_interrupted_up_finishes_its_calls_and_the_next_one_continues(part: Part) -> None:
    part.account.settings.cluster_create = 3
    part.cut("up", signal.SIGINT, lambda: part.has("POST", "/v2/kubernetes/clusters"))
    # Known to the state, and not locked: nothing for the doctor.
    assert part.doctor() == []
    assert [resource["id"] for resource in part.resources() if resource["type"] == CLUSTER] == [_cluster(part)]
    part.up()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_doctor_repairs_an_up_that_was_interrupted_twice(part: Part) -> None:
    part.account.settings.cluster_create = 5
    part.cut("up", signal.SIGINT, lambda: part.has("POST", "/v2/kubernetes/clusters"), times=2)
    assert [resource for resource in part.resources() if resource["type"] == CLUSTER] == []
    until(lambda: part.account.cloud.clusters.records[_cluster(part)].state == "running")
    assert any("pulumi import" in command for command in part.mend())
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_a_second_backend_neither_creates_nor_claims_what_a_colleague_created_at_the_same_moment(
    part: Part, tmp_path: Path
) -> None:
    other = Part(tmp_path / "colleague", account=part.account)
    part.up()
    before = [(call.method, call.path) for call in part.account.cloud.calls if call.method != "GET"]
    refused = other.up(check=False)
    assert 'kong-doks:clusterName: a cluster "mycluster" exists already' in refused.stdout
    assert [(call.method, call.path) for call in part.account.cloud.calls if call.method != "GET"] == before
    # The registry is in use: DigitalOcean allows one. Nothing that deletes or adopts is suggested.
    (finding,) = other.doctor()
    assert finding["problem"].startswith('cluster "mycluster" (')
    assert " is somebody's, and this stack is configured to use the same name" in finding["problem"]
    assert finding["fixes"] == []
    other.run("python", "-m", "ops", "bill", "--expect-zero")
    other.destroy()
    assert part.doctor() == []
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_node_pool_deleted_by_hand_is_recreated(part: Part) -> None:
    part.up()
    record = part.account.cloud.clusters.records[_cluster(part)]
    delete_default_pool(part.account.cloud, record)
    typed = part.mend()
    assert [command.split(" --")[0].rpartition(" ")[0] for command in typed if "-m ops" in command] == [
        "python -m ops add-pool",
        "python -m ops remove node_pool",
    ]
    (pool,) = record.document["node_pools"]
    assert pool["name"] == "mycluster-default-pool"
    # It is the stack's own again.
    part.configure(nodeCount=2)
    part.up()
    assert pool["count"] == 2
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_an_interrupted_destroy_can_be_repeated(part: Part) -> None:
    part.up()
    part.fault(method="DELETE", path="regist", kind="timeout", seconds=2)
    part.cut("destroy", signal.SIGINT, lambda: part.has("DELETE", "regist"))
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_lost_state_is_restored_from_an_export(part: Part) -> None:
    part.up()
    part.run("pulumi", "stack", "export", "--file", "backup.json")
    (checkpoint,) = part.state.glob(".pulumi/stacks/**/dev.json")
    checkpoint.write_text(checkpoint.read_text()[:1000])
    assert part.up(check=False).returncode != 0
    checkpoint.unlink()
    lost = part.run("python", "-m", "ops", "doctor", "--stack", "dev", check=False)
    assert (lost.returncode, "Pulumi has no such stack" in lost.stderr) == (3, True)
    part.run("pulumi", "stack", "init", "dev")
    # The history proves what the stack had.
    assert any(finding["fixes"] for finding in part.doctor())
    part.run("pulumi", "stack", "import", "--file", "backup.json")
    assert part.doctor() == []
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_changes_by_hand_are_found_and_repaired(part: Part) -> None:
    part.up()
    cluster = _cluster(part)
    pool = part.account.cloud.clusters.records[cluster].document["node_pools"][0]
    part.account.cloud.clusters.pools.resize(part.account.cloud.clusters.records[cluster], pool, 2)
    (drift,) = part.doctor()
    assert drift["problem"] == f"node count of cluster {cluster}: 1 in the state, 2 in the account"
    part.mend()
    assert pool["count"] == 1
    body = {"name": "mycluster", "ha": True}
    part.call("PUT", f"kubernetes/clusters/{cluster}", body)
    (drift,) = part.doctor()
    assert drift["problem"].endswith("is highly available, which stays, and costs $40 a month, until the cluster goes")
    assert part.mend() == ["pulumi config set ha true --stack dev", "pulumi up --refresh --stack dev"]
    part.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")
    part.run("python", "-m", "ops", "remove", "cluster", cluster, "--yes")
    until(lambda: not part.account.cloud.clusters.records)
    (registry,) = part.account.cloud.registries.documents
    part.run("python", "-m", "ops", "remove", "registry", registry, "--yes")
    assert part.destroy(check=False).returncode != 0
    part.mend()
    assert part.ends_at_zero()


@pytest.mark.soak
@pytest.mark.parametrize("ups", [1, 2])
def test_doctor_finds_a_refused_update_that_up_does_not_repeat(part: Part, ups: int) -> None:
    part.configure(registry={"kind": "digitalocean", "tier": "basic"})
    part.up()
    part.configure(clusterName="other", nodeCount=3, ha=True)
    part.fault(method="PUT", path="kubernetes/clusters", status=422)
    part.fault(method="POST", path="subscription", status=422)
    # The first one goes on after an error: both calls are refused. The second one only reads and finds no difference.
    for number in range(ups):
        done = part.run("pulumi", "up", *QUIET, "--continue-on-error", check=False)
        assert bool(done.returncode) == (number == 0)
    before, after = "in the state, ", "in the account"
    assert [finding["problem"].partition(": ")[2] for finding in part.doctor()] == [
        f"other {before}mycluster {after}",
        f"True {before}False {after}",
        f"3 {before}1 {after}",
        f"starter {before}basic {after}",
    ]
    assert part.mend() == ["pulumi up --refresh --stack dev"]
    part.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")
    document = part.account.cloud.clusters.records[_cluster(part)].document
    assert (document["name"], document["ha"], len(part.account.cloud.droplets)) == ("other", True, 3)
    assert part.account.cloud.registries.tier.slug == "starter"
    assert part.ends_at_zero()


def test_an_existing_registry_is_used_and_never_deleted(part: Part) -> None:
    part.account.cloud.registries.create("mine", "starter", "nyc3")
    part.configure(registry={"kind": "digitalocean", "name": "mine", "existing": True})
    part.up()
    part.destroy()
    assert part.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", "180").returncode == 0
    assert list(part.account.cloud.registries.documents) == ["mine"]


def test_a_missing_registry_is_reported(part: Part) -> None:
    part.configure(registry={"kind": "digitalocean", "name": "yours", "existing": True})
    for command in (("preview", "--non-interactive"), ("up", *QUIET)):
        failed = part.run("pulumi", *command, check=False)
        assert failed.returncode != 0
        error = "ContainerRegistry (registry.name):\n    error: "
        assert error in failed.stdout
        assert "resource 'yours' does not exist" in failed.stdout
        assert "Traceback" not in failed.stdout
    assert {call.method for call in part.account.cloud.calls} == {"GET"}


def test_refused_registry_credentials_are_reported_as_missing(part: Part) -> None:
    part.fault(path="docker-credentials", status=422, times=2)
    assert part.up(check=False).returncode != 0
    # The second refusal may come in the next update, and end it before the program reads the other credentials.
    failed = [part.up(check=False) for _ in range(2)]
    assert 0 not in {update.returncode for update in failed}
    printed = "".join(update.stdout for update in failed)
    assert re.search("error: registry: the state's credentials to (push|pull) are empty; .*; fix: ", printed)
    assert "Traceback" not in printed
    for resource in part.resources():
        if resource["type"].endswith(":ContainerRegistryDockerCredentials"):
            part.run("pulumi", "state", "delete", resource["urn"], "--force", "--yes")
    part.up()
    assert part.ends_at_zero()


def test_a_registry_whose_region_was_edited_is_replaced(part: Part) -> None:
    part.up()
    part.configure(registry={"kind": "digitalocean", "region": "fra1"})
    part.up()
    (registry,) = part.account.cloud.registries.documents.values()
    assert registry["region"] == "fra1"
    part.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")
    assert part.ends_at_zero()


@pytest.mark.soak
def test_unreachable_revocation_is_mended_by_the_runbook(part: Part) -> None:
    def forget_credentials() -> None:
        for resource in part.resources():
            if resource["type"].endswith(":ContainerRegistryDockerCredentials"):
                part.run("pulumi", "state", "delete", resource["urn"], "--force", "--yes")

    part.up()
    part.fault(path="oauth/revoke", kind="refuse", times=None)
    part.configure(registry={"kind": "digitalocean", "region": "fra1"})
    for _ in range(2):
        failed = part.up(check=False)
        assert failed.returncode != 0
        assert "error reading from server: EOF" in failed.stdout
    forget_credentials()
    part.up()
    assert part.destroy(check=False).returncode != 0
    forget_credentials()
    assert part.ends_at_zero()


@pytest.mark.soak
def test_bill_and_remove_need_no_passphrase(part: Part) -> None:
    part.up()
    part.environment["PULUMI_CONFIG_PASSPHRASE"] += " and more"
    assert part.destroy(check=False).returncode != 0
    bill = json.loads(part.run("python", "-m", "ops", "bill", "--json").stdout)
    things = [(thing["kind"], thing["id"]) for thing in bill["things"] if thing["kind"] in {"cluster", "registry"}]
    assert {kind for kind, _ in things} == {"cluster", "registry"}
    for thing in things:
        part.run("python", "-m", "ops", "remove", *thing, "--yes")
    until(lambda: part.account.cloud.ledger.hourly == 0)
    # The state still has what the account no longer has, and nothing proves that it is the right account.
    bill = part.run("python", "-m", "ops", "bill", "--expect-zero", check=False)
    assert (bill.returncode, bill.stderr.count("or the token is another team's")) == (3, 2)
    assert part.account.cloud.ledger.hourly == 0


def test_a_wrong_passphrase_is_refused_before_any_call(part: Part) -> None:
    part.environment["PULUMI_CONFIG_PASSPHRASE"] += " and more"
    failed = part.up(check=False)
    assert failed.returncode != 0
    assert "incorrect passphrase" in failed.stdout + failed.stderr
    assert list(part.account.cloud.calls) == []


def test_a_failed_up_prints_its_error_and_no_traceback(tmp_path: Path) -> None:
    planned = Planned(tmp_path)
    try:
        planned.fault(method="POST", path="kubernetes/clusters", status=422, times=9)
        failed = planned.up(check=False)
        assert failed.returncode != 0
        assert "KubernetesCluster (cluster):\n    error: " in failed.stdout
        assert "Traceback" not in failed.stdout + failed.stderr
    finally:
        planned.stop()
