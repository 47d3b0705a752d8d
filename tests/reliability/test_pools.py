"""Node pools, upgrades and protection with Pulumi's engine: the cluster is never replaced."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api_server import ApiServer
from tests.reliability.part import Part, until

SMALL, LARGE = "s-2vcpu-4gb", "s-4vcpu-8gb"


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part = Part(tmp_path)
    yield part
    part.stop()


def document(part: Part) -> dict[str, Any]:
    (record,) = part.account.cloud.clusters.records.values()
    return record.document


def pools(part: Part) -> dict[str, dict[str, Any]]:
    return {pool["name"]: pool for pool in document(part)["node_pools"]}


def changes(part: Part) -> list[str]:
    """The calls so far that changed something, without ids."""
    calls = [call for call in part.account.cloud.calls if call.method != "GET"]
    return [f"{call.method} {re.sub('/[0-9a-f-]{36}', '', call.path).rpartition('/')[2]}" for call in calls]


def has_no_changes(part: Part, *options: str) -> bool:
    preview = ("pulumi", "preview", "--expect-no-changes", "--non-interactive", *options)
    return part.run(*preview, check=False).returncode == 0


def test_a_resized_pool_is_created_before_the_old_one_is_deleted(part: Part) -> None:
    part.configure(nodePools={"batch": {"size": SMALL, "count": 2}})
    part.up()
    assert set(pools(part)) == {"mycluster-default-pool", "batch-s-2vcpu-4gb"}
    part.account.cloud.calls.clear()
    part.configure(nodePools={"batch": {"size": LARGE, "autoscale": {"min": 1, "max": 2}}})
    part.up()
    assert changes(part) == ["POST node_pools", "DELETE node_pools"]
    assert set(pools(part)) == {"mycluster-default-pool", "batch-s-4vcpu-8gb"}
    assert part.clusters_ever() == 1
    # What the autoscaler chooses is no change.
    (record,) = part.account.cloud.clusters.records.values()
    part.account.cloud.clusters.pools.resize(record, pools(part)["batch-s-4vcpu-8gb"], 2)
    assert has_no_changes(part)
    assert has_no_changes(part, "--refresh")
    assert part.ends_at_zero()


@pytest.mark.soak
def test_labels_and_bounds_of_a_pool_change_in_place(part: Part) -> None:
    part.configure(nodePools={"batch": {"size": SMALL, "autoscale": {"min": 1, "max": 2}}})
    part.up()
    part.account.cloud.calls.clear()
    part.configure(nodePools={"batch": {"size": SMALL, "count": 2, "labels": {"tier": "x"}, "taints": [{"key": "t"}]}})
    part.up()
    assert changes(part) == ["PUT node_pools"]
    pool = pools(part)["batch-s-2vcpu-4gb"]
    assert (pool["auto_scale"], pool["count"], pool["labels"]) == (False, 2, {"tier": "x"})
    assert pool["taints"] == [{"key": "t", "value": "", "effect": "NoSchedule"}]
    assert has_no_changes(part, "--refresh")
    # DigitalOcean's provider can't remove the last label.
    part.configure(nodePools={"batch": {"size": SMALL, "count": 2}})
    part.up()
    assert (pool["labels"], pool["taints"]) == ({"tier": "x"}, [])
    assert has_no_changes(part)
    assert has_no_changes(part, "--refresh")
    part.configure(nodePools={})
    part.up()
    assert set(pools(part)) == {"mycluster-default-pool"}
    assert part.ends_at_zero()


def test_a_default_pool_is_moved_to_another_size_in_two_steps_and_never_replaces_the_cluster(
    part: Part, tmp_path: Path
) -> None:
    part.up()
    (record,) = part.account.cloud.clusters.records.values()
    api_server = ApiServer(tmp_path)
    record.kubernetes = api_server.kubernetes
    part.configure(nodeSize=LARGE)
    part.account.cloud.calls.clear()
    refused = part.up(check=False)
    assert refused.returncode != 0
    assert 'kong-doks:nodeSize: "s-4vcpu-8gb" would replace cluster mycluster' in refused.stdout
    assert changes(part) == []
    part.run("python", "-m", "ops", "resize-pool", "--yes")
    (pool,) = pools(part).values()
    assert (pool["name"], pool["size"]) == ("mycluster-default-pool", LARGE)
    assert has_no_changes(part)
    part.configure(nodeSize=LARGE, nodeCount=2)
    part.up()
    assert pools(part)["mycluster-default-pool"]["count"] == 2
    assert part.doctor() == []
    api_server.stop()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_state_from_before_a_resize_replaces_nothing(part: Part) -> None:
    """As after a resize that was killed before its refresh."""
    part.up()
    pools(part)["mycluster-default-pool"]["size"] = LARGE
    part.configure(nodeSize=LARGE)
    part.up()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_a_cluster_is_upgraded_in_place_and_upgrades_by_digitalocean_are_no_change(part: Part) -> None:
    part.configure(kubernetesVersion="1.34")
    part.up()
    part.configure(kubernetesVersion="1.36")
    assert "skips a minor version" in part.up(check=False).stdout
    part.configure(kubernetesVersion="1.35")
    part.account.settings.cluster_upgrade = 3600
    part.account.cloud.calls.clear()
    part.up()
    assert changes(part) == ["POST upgrade"]
    # It isn't upgraded twice, though it shows its old version until the end.
    assert document(part)["status"]["state"] == "upgrading"
    part.up()
    assert changes(part) == ["POST upgrade"]
    part.account.settings.cluster_upgrade = 0
    until(lambda: document(part)["version"] == "1.35.7-do.0")
    assert has_no_changes(part)
    document(part)["version"] = "1.35.8-do.0"
    assert has_no_changes(part)
    assert has_no_changes(part, "--refresh")
    part.configure(kubernetesVersion="1.34")
    assert "is lower than the version of cluster mycluster" in part.up(check=False).stdout
    assert part.clusters_ever() == 1
    part.configure(kubernetesVersion="1.35")
    assert part.ends_at_zero()


def test_a_protected_cluster_is_destroyed_after_protect_is_false(part: Part) -> None:
    part.configure(protect=True)
    part.up()
    before = part.resources()
    part.account.cloud.calls.clear()
    refused = part.run("pulumi", "destroy", "--yes", "--non-interactive", check=False)
    assert refused.returncode != 0
    assert "protect" in refused.stdout + refused.stderr
    assert changes(part) == []
    assert part.resources() == before
    # Without a preview the engine deletes what isn't protected, and then refuses the rest: the guides warn of it.
    assert part.destroy(check=False).returncode != 0
    assert 0 < len(part.resources()) < len(before)
    assert not part.account.cloud.registries.documents
    assert part.account.cloud.clusters.records
    part.configure(protect=False)
    part.up()
    assert part.ends_at_zero()


@pytest.mark.soak
def test_allow_replace_permits_a_replacement_of_the_cluster(part: Part) -> None:
    part.up()
    part.configure(region="ams3")
    assert "would replace cluster mycluster; allowed: nyc1" in part.up(check=False).stdout
    assert part.clusters_ever() == 1
    part.configure(region="ams3", allowReplace=True)
    # The name is in use until the old pool is deleted.
    part.up(check=False)
    until(lambda: all(record.document["region"] == "ams3" for record in part.account.cloud.clusters.records.values()))
    part.up()
    assert document(part)["region"] == "ams3"
    part.configure(region="ams3")
    assert has_no_changes(part)
    assert part.ends_at_zero()


OTHER_REGION = 'region: "ams3" would replace cluster mycluster; allowed: nyc1'


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"vpc": {"name": "shop"}, "region": "ams3"}, [OTHER_REGION]),
        ({"vpc": {"name": "shop", "ipRange": "10.130.0.0/20"}}, ['vpc.ipRange: "10.130.0.0/20" would replace cluster']),
        ({}, ["vpc: would delete the VPC that cluster mycluster is in; allowed: name: shop"]),
        # The program doesn't find the cluster by its new name. Pulumi renames it and ignores the other region.
        # If the failed `up` came as far as the outputs, the program finds the cluster by its id.
        (
            {"vpc": {"name": "shop"}, "region": "ams3", "clusterName": "other"},
            ["KubernetesCluster cluster updated", OTHER_REGION],
        ),
    ],
)
def test_a_cluster_of_a_failed_first_up_is_not_replaced(part: Part, change: dict[str, Any], lines: list[str]) -> None:
    part.account.cloud.vpcs.default_of("nyc1")
    # What is refused is created after the cluster: a pool depends on it.
    part.configure(vpc={"name": "shop"}, nodePools={"batch": {"size": SMALL, "count": 1}})
    part.fault(method="POST", path="node_pools", status=422)
    assert part.up(check=False).returncode != 0
    assert part.clusters_ever() == 1
    part.configure(**change)
    done = part.up(check=False)
    assert any(line in done.stdout for line in lines)
    assert part.clusters_ever() == 1
    assert document(part)["region"] == "nyc1"
    part.configure(vpc={"name": "shop"})
    part.mend()
    part.up()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


@pytest.mark.soak
def test_a_pool_of_a_killed_up_is_adopted(part: Part) -> None:
    part.up()
    part.account.settings.node_create = 8
    part.configure(nodePools={"batch": {"size": SMALL, "labels": {"tier": "batch"}}})
    part.cut("up", signal.SIGKILL, lambda: part.has("POST", "node_pools"))
    lost = pools(part)["batch-s-2vcpu-4gb"]
    assert "pulumi import" in " ".join(part.mend())
    assert pools(part)["batch-s-2vcpu-4gb"]["id"] == lost["id"]
    assert has_no_changes(part)
    assert part.doctor() == []
    assert part.ends_at_zero()


@pytest.mark.soak
def test_the_stacks_vpc_is_deleted_after_the_cluster(part: Part) -> None:
    part.account.cloud.vpcs.default_of("nyc1")
    part.configure(vpc={"name": "shop", "ipRange": "10.120.0.0/20"}, controlPlaneFirewall=["203.0.113.0/24"])
    part.up()
    shop = next(vpc for vpc in part.account.cloud.vpcs.values() if vpc["name"] == "shop")
    assert document(part)["vpc_uuid"] == shop["id"]
    assert document(part)["control_plane_firewall"]["enabled"]
    assert has_no_changes(part, "--refresh")
    part.configure(vpc={"name": "other"}, controlPlaneFirewall=["203.0.113.0/24"])
    part.up()
    assert shop["name"] == "other"
    part.configure(vpc={"name": "shop", "ipRange": "10.130.0.0/20"})
    assert 'vpc.ipRange: "10.130.0.0/20" would replace cluster mycluster' in part.up(check=False).stdout
    for vpc in ({}, {"id": shop["id"]}):
        part.configure(vpc=vpc)
        assert "vpc: would delete the VPC that cluster mycluster is in" in part.up(check=False).stdout
    part.configure(vpc={"name": "shop"})
    part.up()
    assert has_no_changes(part, "--refresh")
    part.configure(vpc={"name": "shop", "ipRange": "10.120.0.0/20"})
    part.up()
    assert document(part)["control_plane_firewall"]["enabled"]
    part.configure(vpc={"name": "shop", "ipRange": "10.120.0.0/20"}, controlPlaneFirewall=["0.0.0.0/0"])
    part.up()
    assert not document(part)["control_plane_firewall"]["enabled"]
    part.up()
    assert has_no_changes(part)
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()
    assert [vpc["name"] for vpc in part.account.cloud.vpcs.values()] == ["default-nyc1"]
