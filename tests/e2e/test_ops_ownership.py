"""A name proves nothing: what doctor, bill and remove count as the stack's, and what they leave to its owner."""

import json
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import pytest

from tests.e2e.terminal import NOTHING_IS_BILLED, SCOPES, Terminal
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import eventually

EVER = ("2020-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z")
LONG_AGO = ("2020-01-01T00:00:00.000Z", "2020-01-01T00:10:00.000Z")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    account = Account()
    yield Terminal(account, tmp_path)
    account.stop()


def test_another_users_cluster_named_in_the_configuration_is_left_alone(terminal: Terminal) -> None:
    mine = terminal.made_cluster("mycluster")
    pools = [{"name": "web", "size": "s-1vcpu-2gb", "count": 3}]
    prod = terminal.cluster(name="prod", node_pools=pools)
    terminal.remembers(CLUSTER=mine)
    terminal.configure(clusterName="prod")
    assert {resource for resource in terminal.billed() if resource[0] == "cluster"} == {("cluster", mine)}
    taken = next(finding for finding in terminal.findings() if finding["id"] == "name-taken")
    assert taken["fixes"] == []
    assert f'cluster "prod" ({prod}) is somebody\'s' in taken["problem"]
    refused = terminal.ops("remove", "cluster", prod, "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f'cluster "prod" ({prod}), $36.00 a month: it has this stack\'s name' in refused.stderr
    assert prod in terminal.account.cloud.clusters.records


def test_another_users_registry_named_in_the_configuration_is_left_alone(terminal: Terminal) -> None:
    terminal.registry("company", "professional")
    terminal.registry("kong-doks-1234567", "professional")
    terminal.remembers(REGISTRY="kong-doks-1234567")
    terminal.configure(registry={"kind": "digitalocean", "name": "company"})
    assert terminal.billed() == {("registry", "kong-doks-1234567")}
    (finding,) = terminal.findings()
    assert (finding["id"], finding["fixes"]) == ("name-taken", [])
    assert terminal.ops("remove", "registry", "company", "--yes").returncode == 1
    assert "company" in terminal.account.cloud.registries.documents


@pytest.mark.parametrize("shape", ["mine", "theirs"])
def test_a_cluster_created_while_no_update_ran_belongs_to_others(terminal: Terminal, shape: str) -> None:
    terminal.updated(*LONG_AGO, clusterName="mycluster")
    cluster = terminal.made_cluster("mycluster") if shape == "mine" else terminal.cluster()
    assert terminal.ops("bill", "--expect-zero") == (0, NOTHING_IS_BILLED, "")
    (finding,) = terminal.findings()
    assert (finding["id"], finding["fixes"]) == ("name-taken", [])
    assert terminal.ops("remove", "cluster", cluster, "--yes").returncode == 1


def test_a_cluster_without_the_programs_node_pool_belongs_to_others(terminal: Terminal) -> None:
    terminal.updated(*EVER, clusterName="mycluster")
    terminal.cluster()
    assert terminal.billed() == set()


def test_a_cluster_that_an_update_created_and_lost_belongs_to_the_stack(terminal: Terminal) -> None:
    terminal.updated(*EVER, clusterName="older")
    cluster = terminal.made_cluster("older")
    assert ("cluster", cluster) in terminal.billed()
    (finding,) = terminal.findings()
    assert finding["id"] == "cluster-not-in-state"
    adopt, remove = finding["fixes"]
    assert adopt[0].startswith(
        f"pulumi import digitalocean:index/kubernetesCluster:KubernetesCluster cluster {cluster}"
    )
    assert remove == [f"python -m ops remove cluster {cluster} --stack dev"]


def test_a_cluster_with_a_pending_creation_belongs_to_the_stack(terminal: Terminal) -> None:
    cluster = terminal.made_cluster("mycluster")
    terminal.state([], pending=[terminal.pending("CLUSTER", "mycluster")])
    assert ("cluster", cluster) in terminal.billed()
    # A pending creation is younger than the last update that succeeded: what is older was there before it.
    terminal.updated("2099-01-01T00:00:00.000Z", "2099-01-01T01:00:00.000Z", result="succeeded", clusterName="another")
    assert terminal.billed() == set()


def test_a_cluster_in_an_earlier_checkpoint_belongs_to_the_stack(terminal: Terminal) -> None:
    cluster = terminal.made_cluster("mycluster")
    terminal.updated(*LONG_AGO, result="succeeded", clusterName="mycluster")
    assert terminal.billed() == set()
    terminal.checkpointed(cluster)
    assert ("cluster", cluster) in terminal.billed()


def test_without_a_history_ownership_is_unknown_and_the_bill_is_never_zero(terminal: Terminal) -> None:
    terminal.configure(registry={"kind": "digitalocean", "name": "mine"})
    cluster = terminal.made_cluster("mycluster")
    terminal.registry("mine")
    done = terminal.ops("bill", "--expect-zero", "--wait", "60")
    assert (done.returncode, done.stdout) == (3, "stack dev: nothing is billed, as far as can be seen\n")
    assert done.stderr.splitlines() == [
        f"cluster mycluster ({cluster}) may be this stack's or another's",
        "registry mine (mine) may be this stack's or another's",
    ]
    assert {(finding["id"], *finding["fixes"]) for finding in terminal.findings()} == {("owner-unknown",)}
    assert terminal.ops("remove", "cluster", cluster, "--yes").returncode == 1
    # A user who is sure uses --force.
    assert terminal.ops("remove", "cluster", cluster, "--yes", "--force").returncode == 0
    eventually(lambda: not terminal.account.cloud.clusters.records)


def test_volumes_of_an_unknown_cluster_belong_to_others_and_do_not_fail_the_bill(
    terminal: Terminal,
) -> None:
    theirs = terminal.cluster(name="theirs")
    volume = terminal.volume(theirs, "pvc-database-of-another-team")
    terminal.delete_cluster(theirs)
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 0
    assert f"not this stack's: volume pvc-database-of-another-team ({volume}), $10.00 a month" in done.stdout
    assert done.stdout.endswith(NOTHING_IS_BILLED)
    assert "remove" not in done.stdout
    doctor = terminal.ops("doctor")
    assert doctor.returncode == 0
    assert "was never this stack's" in doctor.stdout
    assert "remove" not in doctor.stdout
    refused = terminal.ops("remove", "volume", volume, "--yes")
    assert refused.returncode == 1
    assert "it belongs to a cluster that this stack never had; fix: leave it to its owner, or --force" in refused.stderr


@pytest.mark.parametrize("where", ["state", "history"])
def test_volumes_of_a_former_cluster_belong_to_the_stack(terminal: Terminal, where: str) -> None:
    cluster = terminal.own_cluster()
    volume = terminal.volume(cluster)
    terminal.delete_cluster(cluster)
    if where == "history":
        terminal.remembers()
        assert terminal.billed() == set()
        history = terminal.folder / ".pulumi" / "history" / "kong-doks" / "dev"
        history.mkdir(parents=True)
        (history / "dev-1.checkpoint.json").write_text(json.dumps({"resources": [{"id": cluster}]}))
    assert terminal.billed() == {("volume", volume)}
    assert terminal.findings()[0]["fixes"] == [[f"python -m ops remove volume {volume} --stack dev"]]
    assert terminal.ops("remove", "volume", volume, "--yes").returncode == 0


def test_earlier_versions_in_pulumi_cloud_prove_ownership(terminal: Terminal) -> None:
    cluster = terminal.own_cluster()
    volume = terminal.volume(cluster)
    terminal.delete_cluster(cluster)
    terminal.remembers()
    terminal.answers("whoami --json", {"url": "https://app.pulumi.com/somebody"})
    update = {"version": 7, "kind": "update", "result": "succeeded", "config": {}}
    terminal.answers("stack history", [update | dict(zip(("startTime", "endTime"), LONG_AGO, strict=True))])
    assert terminal.billed() == set()
    terminal.answers("stack export 7", {"deployment": {"resources": [{"id": cluster}]}})
    assert terminal.billed() == {("volume", volume)}


def test_a_cluster_that_is_created_while_the_lists_are_read_is_no_orphan(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops.digitalocean import Api  # noqa: PLC0415 -- patched here alone

    read = Api.get

    def and_somebody_creates_one(self: Api, path: str, **query: object) -> dict[str, object]:
        answer = read(self, path, **query)
        if path == "kubernetes/clusters":
            terminal.cluster(name="theirs")
        return answer

    monkeypatch.setattr(Api, "get", and_somebody_creates_one)
    assert terminal.json("bill")["others"] == []


def test_ids_missing_from_the_account_are_never_a_zero_bill(terminal: Terminal) -> None:
    missing = "11111111-1111-4111-8111-111111111111"
    terminal.remembers(CLUSTER=missing, REGISTRY="kong-doks-1234567")
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 2
    assert f"cluster {missing} of the state is not in this account: it was deleted by hand, or the token" in done.stderr
    finding = terminal.findings()[0]
    assert finding["id"] == "not-in-account"
    assert "or the token is another team's" in finding["problem"]
    assert finding["fixes"] == [[f"python -m ops forget cluster {missing} --stack dev"]]
    failed = terminal.failed()["state"]
    assert f"cluster {missing}, registry kong-doks-1234567 of the state is not in the account of" in failed["said"]
    asked = terminal.ops("forget", "cluster", missing, typing="n\n")
    assert asked.returncode == 1
    assert "Is it the account of this stack?" in asked.stderr
    assert not [command for command in terminal.typed() if command.startswith("state delete")]


def test_a_cluster_deleted_by_hand_is_found_beside_an_existing_registry(terminal: Terminal) -> None:
    terminal.registry("kong-doks-1234567")
    missing = "11111111-1111-4111-8111-111111111111"
    terminal.remembers(CLUSTER=missing, REGISTRY="kong-doks-1234567")
    done = terminal.ops("bill")
    assert (done.returncode, done.stderr) == (0, "")
    assert terminal.findings()[0]["problem"].endswith("it was deleted by hand")
    terminal.answers("state delete", {})
    assert terminal.ops("forget", "cluster", missing, "--yes").returncode == 0
    urn = f"urn:pulumi:dev::kong-doks::digitalocean:index/kubernetesCluster:KubernetesCluster::{missing}"
    assert f"state delete {urn} --target-dependents --force --yes --stack dev --non-interactive" in terminal.typed()


def test_a_volume_of_an_unknown_cluster_is_left_alone(terminal: Terminal) -> None:
    body = {"name": "data", "size_gigabytes": 10, "region": "nyc1"}
    volume = terminal.api("POST", "/v2/volumes", body)["volume"]["id"]
    refused = terminal.ops("remove", "volume", volume, "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f'volume "data" ({volume}): it is not this stack\'s' in refused.stderr


def test_a_node_pool_of_another_cluster_is_left_alone(terminal: Terminal) -> None:
    theirs, mine = terminal.cluster(name="theirs"), terminal.own_cluster()
    for cluster, status in ((theirs, 1), (mine, 0)):
        pool = {"name": "more", "size": "s-1vcpu-2gb", "count": 2}
        made = terminal.api("POST", f"/v2/kubernetes/clusters/{cluster}/node_pools", pool)["node_pool"]["id"]
        done = terminal.ops("remove", "node_pool", f"{cluster}/node_pools/{made}", typing="y\n")
        assert done.returncode == status
        assert f'node_pool "more" ({made}), 2 s-1vcpu-2gb, $24.00 a month' in done.stderr


@pytest.mark.parametrize(
    "command",
    [["add-pool"], ["renew-balancer"], ["forget-release", "sh.helm.release.v1.kong.v1"]],
    ids=itemgetter(0),
)
def test_no_command_changes_a_cluster_that_the_state_does_not_have(terminal: Terminal, command: list[str]) -> None:
    terminal.own_cluster()
    theirs = terminal.cluster(name="theirs")
    terminal.account.calls.clear()
    name, *rest = command
    done = terminal.ops(name, theirs, *rest)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"cluster {theirs} is not in the state of stack dev; fix: python -m ops doctor --stack dev" in done.stderr
    assert terminal.account.calls == []


def test_forget_refuses_resources_that_still_exist(terminal: Terminal) -> None:
    cluster = terminal.own_cluster()
    done = terminal.ops("forget", "cluster", cluster, "--yes")
    assert done.returncode == 3
    assert f"cluster {cluster} is in the account; fix: pulumi destroy --stack dev" in done.stderr


@pytest.mark.parametrize("known", ["kong-doks-1234567", ""])
def test_a_registry_created_beside_the_one_of_an_up_belongs_to_others(terminal: Terminal, known: str) -> None:
    for name in ("kong-doks-1234567", "kong-doks-7654321"):
        terminal.registry(name, "professional")
    terminal.updated(*EVER, services='[{"build": "apps/foo"}]')
    if known:
        # An update creates one registry, and that is in the state: a colleague's `up` created the other one.
        terminal.remembers(REGISTRY=known)
        assert terminal.billed() == {("registry", known)}
        assert terminal.findings() == []
        assert terminal.ops("remove", "registry", "kong-doks-7654321", "--yes").returncode == 1
    else:
        assert len(terminal.billed()) == 2


def test_a_missing_vpc_is_never_a_zero_bill(terminal: Terminal) -> None:
    terminal.configure(vpc={"name": "shop"})
    terminal.cluster(name="theirs")  # with it comes the region's default network, which nobody can delete
    vpc = terminal.vpc("shop")
    terminal.remembers(VPC=vpc)
    assert terminal.ops("bill", "--expect-zero").returncode == 0
    terminal.api("DELETE", f"/v2/vpcs/{vpc}")
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 3
    assert f"vpc {vpc} of the state is not in this account: it was deleted by hand, or the token is" in done.stderr
    assert f"vpc {vpc} of the state is not in the account" in terminal.failed()["state"]["said"]
    (finding,) = terminal.findings()
    assert (finding["id"], finding["fixes"]) == ("not-in-account", [[f"python -m ops forget vpc {vpc} --stack dev"]])
    terminal.answers("refresh --yes", {})
    assert terminal.ops("forget", "vpc", vpc, "--yes").returncode == 0
    assert f"refresh --yes --skip-preview --target {terminal.resource('VPC', vpc)['urn']}" in terminal.typed()[-1]


def test_a_cluster_that_pulumi_deleted_for_its_replacement_is_not_missing(terminal: Terminal) -> None:
    deleted = terminal.resource("CLUSTER", "11111111-1111-4111-8111-111111111111", pendingReplacement=True)
    terminal.state([deleted])
    assert terminal.ops("bill", "--expect-zero") == (0, NOTHING_IS_BILLED, "")
    assert terminal.findings() == []


def test_a_registry_that_the_configuration_no_longer_uses_is_not_missing(terminal: Terminal) -> None:
    terminal.registry("kong-doks-1234567")
    terminal.remembers(REGISTRY="kong-doks-1234567")
    terminal.configure(registry={"kind": "other", "server": "registry.example.com/team"})
    assert terminal.failed() == {}


def test_a_missing_registry_that_the_stack_only_uses_is_found(terminal: Terminal) -> None:
    terminal.configure(registry={"kind": "digitalocean", "name": "company", "existing": True})
    terminal.registry("company")
    terminal.state([terminal.resource("REGISTRY", "company", external=True)])
    assert terminal.findings() == []
    terminal.api("DELETE", "/v2/registries/company")
    (finding,) = terminal.findings()
    assert (finding["id"], finding["fixes"]) == ("not-in-account", [])
    assert 'registry "company", which the stack uses and did not create, is not in the account' in finding["problem"]
    # It is nothing that this stack pays for.
    assert terminal.ops("bill", "--expect-zero") == (0, NOTHING_IS_BILLED, "")
    terminal.account.cloud.tokens = {TOKEN: [scope for scope in SCOPES if scope != "registry:read"]}
    assert terminal.ops("doctor").returncode == 3
