"""Changes outside of Pulumi, by users and by DigitalOcean: every recovery ends at zero."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.part import QUIET, Part, until


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part = Part(tmp_path)
    yield part
    part.account.stop()


class Named(Part):
    """A stack with a domain, whose record has the cluster's address."""

    program = f"""{Part.program}
from infra.config.tls import Acme, Tls
from infra.gateway.dns import dns_record
tls = Tls(domain="api.example.com", email="", acme=Acme(), chart_repository="", has_http_routes=False)
dns_record(tls, "example.com", cluster.resource.ipv4_address, [])
"""


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Part]:
    named = Named(tmp_path)
    named.call("POST", "domains", {"name": "example.com"})
    yield named
    named.account.stop()


def cluster(part: Part) -> str:
    return next(iter(part.account.cloud.clusters.records))


@pytest.mark.soak
def test_a_cluster_is_found_after_its_name_was_edited(part: Part) -> None:
    part.fault(method="POST", path="kubernetes/clusters$", kind="drop_after")
    assert part.up(check=False).returncode != 0
    until(lambda: part.account.cloud.clusters.records[cluster(part)].state == "running")
    part.configure(clusterName="other")
    bill = part.run("python", "-m", "ops", "bill", "--expect-zero", check=False)
    assert bill.returncode == 1
    assert "mycluster" in bill.stdout
    part.up()
    (finding,) = part.doctor()
    assert '"mycluster"' in finding["problem"]
    assert "the state already has another cluster: remove this one" in finding["problem"]
    part.mend()
    until(lambda: len(part.account.cloud.clusters.records) == 1)
    assert part.doctor() == []
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_cluster_of_an_up_that_was_killed_is_found_after_its_name_was_edited(part: Part) -> None:
    part.account.settings.cluster_create = 2
    part.cut("up", signal.SIGKILL, lambda: part.has("POST", "/v2/kubernetes/clusters"))
    until(lambda: part.account.cloud.clusters.records[cluster(part)].state == "running")
    part.configure(clusterName="other")
    part.mend()
    assert [record.document["name"] for record in part.account.cloud.clusters.records.values()] == ["other"]
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
@pytest.mark.parametrize(
    "edited",
    [
        {"services": [{"name": "foo", "path": "/foo", "image": "user/foo:0.1"}]},
        {"registry": {"kind": "other", "server": "registry.example.com"}},
        {"registry": {"kind": "digitalocean", "name": "another"}},
    ],
    ids=["nothing is built", "another kind", "another name"],
)
def test_a_registry_is_found_after_its_configuration_was_edited(part: Part, edited: dict[str, Any]) -> None:
    part.configure(registry={"kind": "digitalocean", "tier": "basic"})
    part.fault(method="POST", path="registry$", kind="drop_after")
    assert part.up(check=False).returncode != 0
    part.configure(**edited)
    part.destroy()
    until(lambda: not part.account.cloud.clusters.records)
    bill = part.run("python", "-m", "ops", "bill", "--expect-zero", check=False)
    assert bill.returncode == 1
    assert "$5.00 a month" in bill.stdout
    (typed,) = part.mend()
    assert typed.startswith("python -m ops remove registry kong-doks-")
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_registry_of_another_stack_is_never_adopted(part: Part) -> None:
    registry = {"kind": "digitalocean", "tier": "professional"}
    part.run("pulumi", "stack", "init", "prod", "--no-select")
    part.configure("prod", clusterName="prod", registry=registry)
    part.configure(registry=registry)
    part.up()
    # One that fails may have lost a registry, and the other's is made just then.
    part.configure(nodeCount=2, registry=registry)
    part.fault(method="PUT", path="node_pools", status=422)
    assert part.up(check=False).returncode != 0
    part.run("pulumi", "up", "--stack", "prod", *QUIET)
    part.up()
    assert len(part.account.cloud.registries.documents) == 2
    # For the refused nodes.
    assert part.mend() == ["pulumi up --refresh --stack dev"]
    assert part.doctor() == []
    part.destroy()
    done = part.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", "20", "--json")
    assert json.loads(done.stdout)["things"] == []
    assert len(part.account.cloud.registries.documents) == 1


@pytest.mark.soak
def test_another_stack_s_cluster_is_neither_adopted_nor_removed(part: Part) -> None:
    registry = {"kind": "digitalocean", "tier": "professional"}
    part.configure(registry=registry)
    part.up()
    theirs = cluster(part)
    part.run("pulumi", "stack", "init", "prod", "--no-select")
    part.configure("prod", registry=registry, protect=False)
    prod = ("--stack", "prod")
    assert "a cluster with this name already exists" in part.run("pulumi", "up", *prod, *QUIET, check=False).stdout
    done = part.run("python", "-m", "ops", "doctor", *prod, "--json", check=False)
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["id"], finding["fixes"]) == ("name-taken", [])
    assert finding["problem"].startswith(f'cluster "mycluster" ({theirs}) is stack dev\'s, ')
    bill = json.loads(part.run("python", "-m", "ops", "bill", *prod, "--json").stdout)
    assert {thing["kind"] for thing in bill["things"]} == {"registry"}
    others = [(other["id"], other["owner"], other["other_stack"]) for other in bill["others"]]
    assert others == [(theirs, "other-stack", "dev")]
    part.run("pulumi", "config", "set", "clusterName", "another", *prod)
    part.run("pulumi", "up", *prod, *QUIET)
    part.run("pulumi", "destroy", *prod, *QUIET)
    part.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", "20", *prod)
    assert list(part.account.cloud.clusters.records) == [theirs]
    assert part.doctor() == []
    assert part.ends_at_zero()


@pytest.mark.soak
def test_resources_of_a_removed_stack_are_never_a_zero_bill(part: Part) -> None:
    part.configure(clusterName="older")
    part.fault(method="POST", path="kubernetes/clusters$", kind="drop_after")
    assert part.up(check=False).returncode != 0
    until(lambda: part.account.cloud.clusters.records[cluster(part)].state == "running")
    part.configure(clusterName="newer")
    part.run("pulumi", "stack", "rm", "dev", "--yes", "--force", "--preserve-config")
    bill = part.run("python", "-m", "ops", "bill", "--expect-zero", "--stack", "dev", check=False)
    assert bill.returncode == 3
    assert bill.stderr.startswith("stack dev: Pulumi has no such stack")


@pytest.mark.soak
def test_a_cluster_that_is_still_provisioning_is_adopted(part: Part) -> None:
    part.account.settings.cluster_create = 8
    part.cut("up", signal.SIGKILL, lambda: part.has("POST", "/v2/kubernetes/clusters"))
    typed = part.mend()
    wait = typed.index(f"python -m ops wait {cluster(part)} --stack dev")
    assert any(command.startswith("pulumi import") for command in typed[wait:])
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_a_patch_upgrade_by_digitalocean_changes_nothing(part: Part) -> None:
    part.up()
    document = part.account.cloud.clusters.records[cluster(part)].document
    document["version"] = "1.35.99-do.0"
    part.run("pulumi", "up", "--refresh", "--expect-no-changes", *QUIET)
    assert document["version"] in part.run("pulumi", "stack", "export").stdout
    assert part.doctor() == []


@pytest.mark.soak
def test_an_up_while_the_old_cluster_is_being_deleted_is_refused(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    part.up()
    may_go = threading.Event()
    monkeypatch.setattr(part.account.cloud.clusters.records[cluster(part)].kubernetes, "stop", may_go.wait)
    part.destroy()
    assert part.run("python", "-m", "ops", "bill", "--expect-zero", check=False).returncode == 1
    assert "a cluster with this name already exists" in part.up(check=False).stdout
    problems = [finding["problem"] for finding in part.doctor()]
    assert any("is being deleted: wait" in problem for problem in problems)
    may_go.set()
    part.mend()
    part.up()
    assert part.clusters_ever() == 2
    assert part.ends_at_zero()


@pytest.mark.soak
def test_volumes_and_snapshots_are_destroyed_or_reported(part: Part) -> None:
    part.up()
    for mark in ("destroyed", "left"):
        _volume_and_snapshot(part, mark)
        if mark == "left":
            # The panel's default.
            part.account.cloud.clusters.delete(part.account.cloud.clusters.records[cluster(part)])
            until(lambda: not part.account.cloud.clusters.records)
            assert {finding["problem"].split()[0] for finding in part.doctor()} == {"cluster", "volume", "snapshot"}
            part.mend()
        part.destroy()
        until(lambda: not part.account.cloud.volumes and not part.account.cloud.snapshots)
        if mark == "destroyed":
            until(lambda: not part.account.cloud.clusters.records)
            part.up()
    assert part.ends_at_zero()


@pytest.mark.soak
def test_the_dns_record_of_a_cluster_deleted_by_hand_is_removed(named: Part) -> None:
    def records() -> list[str]:
        listed = named.call("GET", "domains/example.com/records")["domain_records"]
        return [record["name"] for record in listed if record["type"] == "A"]

    named.up()
    assert records() == ["api"]
    named.call("DELETE", f"kubernetes/clusters/{cluster(named)}")
    until(lambda: not named.account.cloud.clusters.records)
    named.mend()
    assert named.ends_at_zero()
    assert records() == []


def _volume_and_snapshot(part: Part, name: str) -> None:
    """A volume and a snapshot, as the storage driver makes them for a claim and a VolumeSnapshot."""
    tags = [f"k8s:{cluster(part)}"]
    volume = {"name": f"pvc-{name}", "size_gigabytes": 10, "region": "nyc1", "tags": tags}
    made = part.call("POST", "volumes", volume)["volume"]["id"]
    part.call("POST", f"volumes/{made}/snapshots", {"name": f"snapshot-{name}", "tags": tags})


@pytest.mark.soak
def test_a_node_recycled_by_hand_is_no_change(part: Part) -> None:
    part.up()
    pools = f"kubernetes/clusters/{cluster(part)}/node_pools"
    (pool,) = part.call("GET", pools)["node_pools"]
    part.call("DELETE", f"{pools}/{pool['id']}/nodes/{pool['nodes'][0]['id']}?replace=1")
    (after,) = part.call("GET", pools)["node_pools"]
    assert after["nodes"][0]["id"] != pool["nodes"][0]["id"]
    assert part.doctor() == []
    part.run("pulumi", "up", "--refresh", "--yes", "--skip-preview", "--non-interactive")
    assert (part.clusters_ever(), len(part.account.cloud.droplets)) == (1, 1)
    assert part.ends_at_zero()
