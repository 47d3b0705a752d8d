"""What the program does to a cluster that exists: it upgrades it or leaves it, and refuses what would replace it."""

from collections.abc import Callable
from typing import Any

import pytest

from infra.config import versions
from infra.config.cluster_changes import unsupported
from infra.config.settings import Settings
from tests.unit.conftest import Recording

KEPT = ["region", "nodePool.size"]


def live(
    version: str = "1.35.6-do.0",
    status: str = "running",
    size: str = "s-1vcpu-2gb",
    **config: Any,  # noqa: ANN401 -- keys
) -> dict[str, Any]:
    """A stack whose cluster exists."""
    pools = [
        {"size": "s-8vcpu-16gb", "tags": ["k8s"]},
        {"size": size, "tags": ["k8s", "terraform:default-node-pool"]},
    ]
    cluster = {"id": "c1", "name": "mycluster", "region": "nyc1", "version": version, "status": {"state": status}}
    return {
        "stack": "dev",
        "config": {f"kong-doks:{key}": value for key, value in config.items()},
        "outputs": {"cluster_id": "c1"},
        "live": {"cluster": cluster | {"node_pools": pools}, "upgrades": ["1.35.7-do.1", "1.35.7-do.0"]},
    }


GONE = live() | {"live": {}}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "live": live(),
    "live at an older minor": live("1.34.10-do.0"),
    "live and being upgraded": live("1.34.10-do.0", "upgrading"),
    "live two minors behind": live("1.33.9-do.0"),
    "live at a newer minor": live("1.36.3-do.0"),
    "live, upgraded by DigitalOcean": live("1.34.10-do.0", kubernetesVersion="1.33"),
    "live at a minor without an upgrade": live("1.35.7-do.1", kubernetesVersion="1.36"),
    "live in another region": live(region="fra1"),
    "live with another size": live(size="s-2vcpu-4gb"),
    "live with another size and region": live(size="s-2vcpu-4gb", region="fra1"),
    "live without its pool": live(size="s-2vcpu-4gb")
    | {"live": {"cluster": live()["live"]["cluster"] | {"node_pools": []}, "upgrades": []}},
    "live, to be replaced": live(size="s-2vcpu-4gb", allowReplace=True),
    "gone": GONE,
    "staging": {"stack": "staging"},
    "staging, unprotected": {"stack": "staging", "config": {"kong-doks:protect": False}},
    "protected": {"stack": "dev", "config": {"kong-doks:protect": "true"}},
    "upgraded by DigitalOcean": {
        "stack": "dev",
        "config": {"kong-doks:autoUpgrade": True, "kong-doks:maintenanceWindow": {"day": "sunday", "start": "04:00"}},
    },
}


def cluster(recording: Recording) -> tuple[str, list[str]]:
    assert recording.errors == []
    found = recording.one("KubernetesCluster")
    return found.inputs["version"], found.ignore_changes


def test_a_cluster_of_the_same_minor_keeps_its_version(run: Callable[[str], Recording]) -> None:
    assert cluster(run("live")) == ("1.35.6-do.0", ["version", *KEPT])


def test_a_cluster_of_the_minor_before_is_upgraded_to_the_newest_patch_on_offer_for_it(
    run: Callable[[str], Recording],
) -> None:
    assert cluster(run("live at an older minor")) == ("1.35.7-do.1", KEPT)


def test_a_cluster_that_is_being_upgraded_is_not_upgraded_again(run: Callable[[str], Recording]) -> None:
    assert cluster(run("live and being upgraded")) == ("1.34.10-do.0", ["version", *KEPT])


def test_a_minor_that_digitalocean_brought_in_by_itself_changes_nothing(run: Callable[[str], Recording]) -> None:
    """1.33 is no longer on offer."""
    assert cluster(run("live, upgraded by DigitalOcean")) == ("1.34.10-do.0", ["version", *KEPT])


def test_a_cluster_that_the_account_does_not_have_is_left_to_pulumi(run: Callable[[str], Recording]) -> None:
    assert cluster(run("gone")) == ("1.35.7-do.1", ["version"])


def test_a_size_is_not_compared_while_there_is_no_pool(run: Callable[[str], Recording]) -> None:
    assert cluster(run("live without its pool")) == ("1.35.6-do.0", ["version", *KEPT])


REFUSED = {
    "live two minors behind": (
        'kong-doks:kubernetesVersion: "1.35" skips a minor version of cluster mycluster, which runs 1.33.9-do.0; '
        "allowed: 1.33 or 1.34, one minor version at a time; fix: pulumi config set kubernetesVersion 1.34, pulumi up, "
        "and the next when the cluster runs again"
    ),
    "live at a newer minor": (
        'kong-doks:kubernetesVersion: "1.35" is lower than the version of cluster mycluster, which runs 1.36.3-do.0; '
        "allowed: 1.36 or 1.37; a cluster can't go back; fix: pulumi config set kubernetesVersion 1.36"
    ),
    "live at a minor without an upgrade": (
        'kong-doks:kubernetesVersion: "1.36" is not on offer for cluster mycluster, which runs 1.35.7-do.1; '
        "allowed: 1.35; fix: pulumi config set kubernetesVersion 1.35"
    ),
    "live in another region": (
        'kong-doks:region: "fra1" would replace cluster mycluster; allowed: nyc1; fix: pulumi config set region nyc1, '
        "or allowReplace true, which deletes the cluster with all that is in it"
    ),
    "live with another size": (
        'kong-doks:nodeSize: "s-1vcpu-2gb" would replace cluster mycluster; allowed: s-2vcpu-4gb; '
        "fix: python -m ops resize-pool, which moves the nodes to the new size, "
        "or allowReplace true, which deletes the cluster with all that is in it"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_cluster_cannot_become_is_one_line_before_the_first_resource(
    run: Callable[[str], Recording], name: str
) -> None:
    recording = run(name)
    assert (recording.errors, recording.status) == ([REFUSED[name]], 32)
    assert recording.resources == []


def test_all_that_would_replace_a_cluster_is_said_at_once(run: Callable[[str], Recording]) -> None:
    (text,) = run("live with another size and region").errors
    assert [line.partition(": ")[0] for line in text.splitlines()] == ["kong-doks:region", "kong-doks:nodeSize"]


def test_a_cluster_that_may_be_replaced_gets_the_newest_patch(run: Callable[[str], Recording]) -> None:
    """Its old patch may no longer be on offer."""
    assert cluster(run("live, to be replaced")) == ("1.35.7-do.1", [])


@pytest.mark.parametrize(
    ("name", "expected"), [("dev", False), ("staging", True), ("staging, unprotected", False), ("protected", True)]
)
def test_the_cluster_is_protected_unless_it_is_that_of_dev(
    run: Callable[[str], Recording], name: str, *, expected: bool
) -> None:
    recording = run(name)
    assert [each.type for each in recording.resources if each.options.get("protect")] == (
        [recording.one("KubernetesCluster").type] if expected else []
    )


def test_upgrades_by_digitalocean_are_a_choice(dev: Recording, run: Callable[[str], Recording]) -> None:
    inputs = run("upgraded by DigitalOcean").one("KubernetesCluster").inputs
    assert inputs["autoUpgrade"] is True
    assert inputs["maintenancePolicy"] == {"day": "sunday", "startTime": "04:00"}
    assert dev.one("KubernetesCluster").inputs["autoUpgrade"] is False
    assert "maintenancePolicy" not in dev.one("KubernetesCluster").inputs


def test_a_minor_that_the_controller_is_not_tested_with_is_known() -> None:
    assert unsupported(versions.KUBERNETES) == ""
    assert f"tested up to Kubernetes {versions.KUBERNETES}" in unsupported("1.99")


def test_every_stack_but_dev_is_protected_by_default() -> None:
    assert {name for name in ("dev", "prod", "develop") if Settings().is_protected(name)} == {"prod", "develop"}
