"""Every way out ends at zero: what people do beside Pulumi, and what DigitalOcean does in its own time."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.digitalocean_provider.engine import TOKEN
from tests.e2e.reliability import Part, until


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part = Part(tmp_path)
    yield part
    part.account.stop()


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
    assert "which has another: remove it" in finding["problem"]
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
def test_an_up_before_a_destroyed_cluster_has_gone_is_refused_and_told_to_wait(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    part.up()
    may_go = threading.Event()
    monkeypatch.setattr(part.account.cloud.clusters.records[cluster(part)].kubernetes, "stop", may_go.wait)
    part.destroy()
    assert part.run("python", "-m", "ops", "bill", "--expect-zero", check=False).returncode == 1
    assert "a cluster with this name already exists" in part.up(check=False).stdout
    problems = [finding["problem"] for finding in part.doctor()]
    assert any("on its way out: wait" in problem for problem in problems)
    may_go.set()
    part.mend()
    part.up()
    assert part.clusters_ever() == 2
    assert part.ends_at_zero()


@pytest.mark.soak
def test_volumes_and_snapshots_go_with_the_stack_or_are_found(part: Part) -> None:
    part.up()
    for mark in ("destroyed", "left"):
        _volume_and_snapshot(part, mark)
        if mark == "left":
            # As the panel does unless it is told otherwise.
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


def _volume_and_snapshot(part: Part, name: str) -> None:
    """What the storage driver makes for a PersistentVolumeClaim and a VolumeSnapshot."""
    tags = [f"k8s:{cluster(part)}"]
    volume = {"name": f"pvc-{name}", "size_gigabytes": 10, "region": "nyc1", "tags": tags}
    made = call(part, "POST", "volumes", volume)["volume"]["id"]
    call(part, "POST", f"volumes/{made}/snapshots", {"name": f"snapshot-{name}", "tags": tags})


@pytest.mark.soak
def test_a_node_that_was_recycled_by_hand_changes_nothing_of_the_stack(part: Part) -> None:
    part.up()
    pools = f"kubernetes/clusters/{cluster(part)}/node_pools"
    (pool,) = call(part, "GET", pools)["node_pools"]
    call(part, "DELETE", f"{pools}/{pool['id']}/nodes/{pool['nodes'][0]['id']}?replace=1")
    (after,) = call(part, "GET", pools)["node_pools"]
    assert after["nodes"][0]["id"] != pool["nodes"][0]["id"]
    assert part.doctor() == []
    part.run("pulumi", "up", "--refresh", "--yes", "--skip-preview", "--non-interactive")
    assert (part.clusters_ever(), len(part.account.cloud.droplets)) == (1, 1)
    assert part.ends_at_zero()


def call(part: Part, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- JSON
    """What somebody does in DigitalOcean's panel."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.request(method, f"{part.account.url}/v2/{path}", json=body, headers=headers, trust_env=False)
    return answer.raise_for_status().json() if answer.content else None
