"""The program upgrades a cluster that exists, or leaves it, and refuses what would replace it."""

import functools
import re
from collections.abc import Callable
from typing import Any

import httpx
import pulumi
import pytest

from infra import live_cluster as live_clusters
from infra import lookups
from infra.config import versions
from infra.config.cluster_changes import LiveCluster, unsupported
from infra.config.settings import Settings
from infra.live_cluster import live_cluster
from infra.loader import Account
from tests.unit.conftest import Recording
from tests.unit.loading import refused

KEPT = ["region", "nodePool.size", "vpcUuid"]
VPC = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"
OTHER = "00000000-9653-4bd1-bef5-d6bff52042e4"


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
    firewall = {"enabled": True, "allowed_addresses": ["203.0.113.0/24"]}
    return {
        "stack": "dev",
        "config": {f"kong-doks:{key}": value for key, value in config.items()},
        "outputs": {"cluster_id": "c1"},
        "live": {
            "cluster": cluster | {"node_pools": pools, "vpc_uuid": VPC, "control_plane_firewall": firewall},
            "vpc": {"name": "shop", "ip_range": "10.120.0.0/20"},
            "upgrades": ["1.35.7-do.1", "1.35.7-do.0"],
        },
    }


def in_own_vpc(recorded: dict[str, Any], vpc: str = VPC) -> dict[str, Any]:
    """The same after an `up` that made a VPC: that of the cluster, or another one."""
    return recorded | {"outputs": recorded["outputs"] | {"vpc_id": vpc}}


def in_unseen_vpc(recorded: dict[str, Any]) -> dict[str, Any]:
    """The same for a token that doesn't see the VPC."""
    return recorded | {"live": {key: value for key, value in recorded["live"].items() if key != "vpc"}}


GONE = live() | {"live": {}}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "live": live(),
    "live at an older minor": live("1.34.10-do.0", kubernetesVersion="1.35"),
    "live at an older patch of an older minor": live("1.34.9-do.0", kubernetesVersion="1.35")
    | {"live": live("1.34.9-do.0")["live"] | {"upgrades": ["1.35.7-do.1", "1.34.9-do.2", "1.34.10-do.0"]}},
    "live at an older minor whose newest patch alone is on offer": live("1.34.9-do.0", kubernetesVersion="1.35")
    | {"live": live("1.34.9-do.0")["live"] | {"upgrades": ["1.34.10-do.0"]}},
    "live at an older minor that nothing names": live("1.33.9-do.0"),
    "live at a newer minor that nothing names": live("1.36.3-do.0"),
    "live and being upgraded": live("1.34.10-do.0", "upgrading", kubernetesVersion="1.35"),
    "live two minors behind": live("1.33.9-do.0", kubernetesVersion="1.35"),
    "live at a newer minor": live("1.36.3-do.0", kubernetesVersion="1.35"),
    "live, upgraded by DigitalOcean": live("1.34.10-do.0", kubernetesVersion="1.33"),
    "live at a minor without an upgrade": live("1.35.7-do.1", kubernetesVersion="1.36"),
    "live in another region": live(region="fra1"),
    "live with another size": live(size="s-2vcpu-4gb"),
    "live with another size and region": live(size="s-2vcpu-4gb", region="fra1"),
    "live without its pool": live(size="s-2vcpu-4gb")
    | {"live": {"cluster": live()["live"]["cluster"] | {"node_pools": []}, "upgrades": []}},
    "live, to be replaced": live(size="s-2vcpu-4gb", allowReplace=True),
    "gone": GONE,
    "live in this VPC": live(vpc={"id": VPC}),
    "live in a VPC of this name": live(vpc={"name": "shop", "ipRange": "10.120.0.0/20"}),
    "live in its own VPC": in_own_vpc(live(vpc={"name": "shop"})),
    "live in its own VPC of this range": in_own_vpc(live(vpc={"name": "shop", "ipRange": "10.120.0.0/20"})),
    "live in its own VPC of another range": in_own_vpc(live(vpc={"name": "shop", "ipRange": "10.130.0.0/20"})),
    "live in its own VPC, which nothing names": in_own_vpc(live()),
    "live in its own VPC, which the id names": in_own_vpc(live(vpc={"id": VPC}, region="fra1", allowReplace=True)),
    "live in its own VPC, to be replaced in another": in_own_vpc(live(vpc={"id": OTHER}, allowReplace=True)),
    "live in its own VPC, renamed": in_own_vpc(live(vpc={"name": "other"})),
    "live in its own VPC, unseen and not named": in_unseen_vpc(in_own_vpc(live())),
    "live in its own VPC, unseen": in_unseen_vpc(in_own_vpc(live(vpc={"name": "shop"}))),
    "live beside its own VPC": in_own_vpc(live(), OTHER),
    "live in another VPC": live(vpc={"id": OTHER}),
    "live in a VPC of another name": live(vpc={"name": "other"}),
    "live, to be opened": live(controlPlaneFirewall=["203.0.113.0/24", "0.0.0.0/0"]),
    "in a VPC": {"stack": "dev", "config": {"kong-doks:vpc": {"name": "shop", "ipRange": "10.120.0.0/20"}}},
    "in an existing VPC": {"stack": "dev", "config": {"kong-doks:vpc": {"id": VPC}}},
    "behind a firewall": {
        "stack": "dev",
        "config": {"kong-doks:controlPlaneFirewall": ["203.0.113.7", "198.51.100.0/24", "128.0.0.0/1"]},
    },
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
    cluster = recording.one("KubernetesCluster")
    return cluster.inputs["version"], cluster.ignore_changes


def test_a_cluster_of_the_same_minor_keeps_its_version(run: Callable[[str], Recording]) -> None:
    assert cluster(run("live")) == ("1.35.6-do.0", ["version", *KEPT])


def test_a_cluster_of_the_previous_minor_is_upgraded_to_the_newest_available_patch(
    run: Callable[[str], Recording],
) -> None:
    assert cluster(run("live at an older minor")) == ("1.35.7-do.1", KEPT)


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if "patch" in name])
def test_a_cluster_gets_the_newest_patch_of_its_minor_before_the_next_minor(
    run: Callable[[str], Recording], name: str
) -> None:
    recording = run(name)
    assert cluster(recording) == ("1.34.10-do.0", KEPT)
    (warning,) = [line for line in recording.warnings if "kubernetesVersion" in line]
    assert warning == (
        "kong-doks:kubernetesVersion: cluster mycluster is upgraded to 1.34.10-do.0 first, the newest patch of 1.34; "
        'fix: pulumi up again for "1.35", when the cluster runs again'
    )


def test_without_kubernetes_version_a_cluster_keeps_its_version(run: Callable[[str], Recording]) -> None:
    """A project update with another default minor upgrades no existing cluster."""
    assert cluster(run("live at an older minor that nothing names")) == ("1.33.9-do.0", ["version", *KEPT])
    assert cluster(run("live at a newer minor that nothing names")) == ("1.36.3-do.0", ["version", *KEPT])


def test_a_cluster_that_is_being_upgraded_is_not_upgraded_again(run: Callable[[str], Recording]) -> None:
    assert cluster(run("live and being upgraded")) == ("1.34.10-do.0", ["version", *KEPT])


def test_a_minor_upgrade_by_digitalocean_changes_nothing(run: Callable[[str], Recording]) -> None:
    """1.33 is no longer on offer."""
    assert cluster(run("live, upgraded by DigitalOcean")) == ("1.34.10-do.0", ["version", *KEPT])


def test_a_cluster_missing_from_the_account_is_left_to_pulumi(run: Callable[[str], Recording]) -> None:
    assert cluster(run("gone")) == ("1.35.7-do.1", ["version", *KEPT])


def test_the_node_size_is_not_compared_without_a_pool(run: Callable[[str], Recording]) -> None:
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
    "live in another VPC": (
        f'kong-doks:vpc.id: "{OTHER}" would replace cluster mycluster; allowed: {VPC}; '
        f"fix: pulumi config set --path vpc.id {VPC}, "
        "or allowReplace true, which deletes the cluster with all that is in it"
    ),
    "live in a VPC of this name": (
        f'kong-doks:vpc.name: "shop" would replace cluster mycluster; allowed: id: {VPC}; '
        f"fix: write vpc: {{id: {VPC}}}, or remove vpc, "
        "or allowReplace true, which deletes the cluster with all that is in it"
    ),
    "live in a VPC of another name": (
        f'kong-doks:vpc.name: "other" would replace cluster mycluster; allowed: id: {VPC}; '
        f"fix: write vpc: {{id: {VPC}}}, or remove vpc, "
        "or allowReplace true, which deletes the cluster with all that is in it"
    ),
    "live in its own VPC of another range": (
        'kong-doks:vpc.ipRange: "10.130.0.0/20" would replace cluster mycluster; allowed: 10.120.0.0/20; '
        "fix: pulumi config set --path vpc.ipRange 10.120.0.0/20, "
        "or allowReplace true, which deletes the cluster with all that is in it"
    ),
    "live in its own VPC, which nothing names": (
        "kong-doks:vpc: would delete the VPC that cluster mycluster is in; allowed: name: shop; "
        "fix: write vpc: {name: shop}"
    ),
    "live in its own VPC, which the id names": (
        "kong-doks:vpc: would delete the VPC that cluster mycluster is in; allowed: name: shop; "
        "fix: write vpc: {name: shop}"
    ),
    "live in its own VPC, unseen and not named": (
        "kong-doks:vpc: would delete the VPC that cluster mycluster is in "
        f"({VPC}), and this token can't read its name; allowed: the vpc.name of the last `up`; fix: write it again"
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
def test_impossible_cluster_changes_are_refused_before_the_first_resource(
    run: Callable[[str], Recording], name: str
) -> None:
    recording = run(name)
    assert (recording.errors, recording.status) == ([REFUSED[name]], 32)
    assert recording.resources == []


def test_all_changes_that_would_replace_a_cluster_are_reported_at_once(run: Callable[[str], Recording]) -> None:
    (text,) = run("live with another size and region").errors
    assert [line.partition(": ")[0] for line in text.splitlines()] == ["kong-doks:region", "kong-doks:nodeSize"]


def test_allow_replace_creates_the_newest_patch(run: Callable[[str], Recording]) -> None:
    """Its old patch may no longer be on offer."""
    assert cluster(run("live, to be replaced")) == ("1.35.7-do.1", [])


@pytest.mark.parametrize(
    ("name", "expected"), [("dev", False), ("staging", True), ("staging, unprotected", False), ("protected", True)]
)
def test_the_cluster_is_protected_except_in_stack_dev(
    run: Callable[[str], Recording], name: str, *, expected: bool
) -> None:
    recording = run(name)
    assert [resource.type for resource in recording.resources if resource.options.get("protect")] == (
        [recording.one("KubernetesCluster").type] if expected else []
    )


def test_auto_upgrade_is_configurable(dev: Recording, run: Callable[[str], Recording]) -> None:
    inputs = run("upgraded by DigitalOcean").one("KubernetesCluster").inputs
    assert inputs["autoUpgrade"] is True
    assert inputs["maintenancePolicy"] == {"day": "sunday", "startTime": "04:00"}
    assert dev.one("KubernetesCluster").inputs["autoUpgrade"] is False
    assert "maintenancePolicy" not in dev.one("KubernetesCluster").inputs


@pytest.mark.parametrize(
    "name",
    [
        *("live in this VPC", "live in its own VPC", "live in its own VPC of this range"),
        *("live in its own VPC, renamed", "live in its own VPC, unseen", "live beside its own VPC"),
    ],
)
def test_a_cluster_keeps_its_vpc(run: Callable[[str], Recording], name: str) -> None:
    assert cluster(run(name)) == ("1.35.6-do.0", ["version", *KEPT])


def test_the_stacks_vpc_is_renamed_in_place(run: Callable[[str], Recording]) -> None:
    vpc = run("live in its own VPC, renamed").one("Vpc")
    assert vpc.inputs["name"] == "other"
    assert "name" not in vpc.ignore_changes


def test_a_vpc_is_created_before_the_cluster_and_deleted_after_it(
    run: Callable[[str], Recording],
) -> None:
    recording = run("in a VPC")
    vpc, owner = recording.one("Vpc"), recording.one("KubernetesCluster")
    assert vpc.inputs == {"name": "shop", "region": "nyc1", "ipRange": "10.120.0.0/20"}
    assert vpc.options["customTimeouts"] == {"delete": "30m"}
    assert vpc.parent == owner.parent
    assert owner.inputs["vpcUuid"] == "vpc-id"
    assert "Vpc vpc" in recording.before(owner)


def test_the_vpc_of_an_existing_cluster_is_never_replaced(run: Callable[[str], Recording]) -> None:
    """A replaced network would make Pulumi replace the cluster, whatever that ignores."""
    # A first `up` may follow one that failed, whose cluster the state has.
    for name in ("live in its own VPC", "in a VPC"):
        assert run(name).one("Vpc").ignore_changes == ["ipRange", "region"]


def test_a_replaced_cluster_may_leave_its_vpc(run: Callable[[str], Recording]) -> None:
    assert cluster(run("live in its own VPC, to be replaced in another")) == ("1.35.7-do.1", [])


def test_the_stacks_vpc_is_an_output(dev: Recording, run: Callable[[str], Recording]) -> None:
    """By this output the next `up` sees that it must not delete the network."""
    assert run("in a VPC").outputs["vpc_id"] == "vpc-id"
    assert "vpc_id" not in {*dev.outputs, *run("in an existing VPC").outputs}


def test_an_existing_vpc_is_not_created(run: Callable[[str], Recording]) -> None:
    recording = run("in an existing VPC")
    assert recording.of("Vpc") == []
    assert recording.one("KubernetesCluster").inputs["vpcUuid"] == VPC


def test_the_control_plane_has_no_firewall_by_default(dev: Recording, run: Callable[[str], Recording]) -> None:
    assert "controlPlaneFirewall" not in dev.one("KubernetesCluster").inputs
    assert run("behind a firewall").one("KubernetesCluster").inputs["controlPlaneFirewall"] == {
        "enabled": True,
        "allowedAddresses": ["203.0.113.7/32", "198.51.100.0/24", "128.0.0.0/1"],
    }


def test_a_firewall_that_the_configuration_omits_is_left_alone(run: Callable[[str], Recording]) -> None:
    """Without the argument the provider leaves it as it is."""
    assert "controlPlaneFirewall" not in run("live").one("KubernetesCluster").inputs


def test_a_firewall_can_be_disabled(run: Callable[[str], Recording]) -> None:
    firewall = run("live, to be opened").one("KubernetesCluster").inputs["controlPlaneFirewall"]
    assert firewall == {"enabled": False, "allowedAddresses": []}


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "two networks": ({"vpc": {"id": VPC, "name": "shop"}}, "vpc: has both id and name; allowed: exactly one of them"),
    "no network": ({"vpc": {"ipRange": "10.0.0.0/20"}}, "vpc: has neither id nor name; allowed: exactly one of them"),
    "a range of somebody else's": (
        {"vpc": {"id": VPC, "ipRange": "10.0.0.0/20"}},
        'vpc.ipRange: "10.0.0.0/20" is not allowed; allowed: only with name',
    ),
    "a public range": (
        {"vpc": {"name": "shop", "ipRange": "8.8.0.0/20"}},
        'vpc.ipRange: "8.8.0.0/20" is not allowed; allowed: a private IPv4 network (RFC 1918) from /16 to /24',
    ),
    "a range that is too small": (
        {"vpc": {"name": "shop", "ipRange": "10.0.0.0/29"}},
        'vpc.ipRange: "10.0.0.0/29" is not allowed; allowed: a private IPv4 network (RFC 1918) from /16 to /24',
    ),
    "no UUID": ({"vpc": {"id": "shop"}}, 'vpc.id: "shop" is not allowed; allowed: the UUID of an existing VPC'),
    "no address": (
        {"controlPlaneFirewall": ["office"]},
        'controlPlaneFirewall[0]: "office" is not allowed; allowed: a list of IPv4 addresses and networks',
    ),
    "an address of IPv6": (
        {"controlPlaneFirewall": ["203.0.113.7", "2001:db8::/32"]},
        'controlPlaneFirewall[1]: "2001:db8::/32" is not allowed; allowed: a list of IPv4 addresses and networks',
    ),
    "half an hour": (
        {"maintenanceWindow": {"start": "04:30"}},
        'maintenanceWindow.start: "04:30" is not allowed; allowed: a full hour in UTC, in quotes',
    ),
    "a day in upper case": (
        {"maintenanceWindow": {"day": "Sunday", "start": "04:00"}},
        'maintenanceWindow.day: "Sunday" is not allowed; allowed: any, or a day of the week in lower case',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_invalid_value_is_reported_in_one_line(mistake: str) -> None:
    config, expected = MISTAKES[mistake]
    (line,) = refused(config)
    assert line.startswith(f"kong-doks:{expected}")
    assert "; fix: " in line


def test_minors_untested_with_the_controller_are_detected() -> None:
    assert unsupported(versions.KUBERNETES) == ""
    assert f"tested up to Kubernetes {versions.KUBERNETES}" in unsupported("1.99")


def test_every_stack_but_dev_is_protected_by_default() -> None:
    assert {name for name in ("dev", "prod", "develop") if Settings().is_protected(name)} == {"prod", "develop"}


_ENVIRONMENT = "allowed: one word; fix: export DIGITALOCEAN_TOKEN=dop_v1_..."
_CONFIGURATION = "allowed: one word; fix: pulumi config set --secret digitalocean:token"


@pytest.mark.parametrize(
    ("token", "stack", "begin", "end"),
    [
        ("dop_v1_secret\r", None, "DIGITALOCEAN_TOKEN: has a blank, ", _ENVIRONMENT),
        ("dop_v1_secret\n", None, "DIGITALOCEAN_TOKEN: has a blank, ", _ENVIRONMENT),
        ("dop_v1_sécret", None, "DIGITALOCEAN_TOKEN: has a blank, ", _ENVIRONMENT),
        ("two words", "dev", "digitalocean:token: has a blank, ", _CONFIGURATION),
        (None, None, "DIGITALOCEAN_TOKEN: is missing; ", _ENVIRONMENT),
    ],
)
def test_an_invalid_token_is_neither_sent_nor_printed(
    monkeypatch: pytest.MonkeyPatch, token: str | None, stack: str | None, begin: str, end: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", said.append)
    monkeypatch.setenv("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN", "0.01")
    # Nothing listens there.
    account = Account(api_endpoint="http://127.0.0.1:1", stack=stack, token=token)
    with pytest.raises(SystemExit):
        live_cluster(account, "c1")
    (line,) = said
    assert line.startswith(begin)
    assert line.endswith(end)
    assert "secret" not in line.replace("--secret", "")


@pytest.mark.parametrize(
    ("endpoint", "pause", "line"),
    [
        (
            "http://proxy.example",
            "1",
            (
                "digitalocean:apiEndpoint: http://proxy.example: the token would go over plain HTTP; "
                "allowed: https, or http to this machine; "
                "fix: pulumi config set digitalocean:apiEndpoint https://..., or export DIGITALOCEAN_API_URL=https://..."
            ),
        ),
        (
            "http://127.0.0.1:1",
            "1s",
            'DIGITALOCEAN_HTTP_RETRY_WAIT_MIN: "1s"; allowed: seconds; fix: unset DIGITALOCEAN_HTTP_RETRY_WAIT_MIN',
        ),
    ],
)
def test_an_unsafe_endpoint_or_invalid_retry_pause_prevents_requests(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, pause: str, line: str
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", said.append)
    monkeypatch.setattr("httpx.Client", lambda **_: pytest.fail("sent"))
    monkeypatch.setenv("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN", pause)
    with pytest.raises(SystemExit):
        live_cluster(Account(api_endpoint=endpoint, stack=None, token="dop_v1_secret"), "c1")  # noqa: S106 -- of a test
    assert said == [line]


@pytest.mark.parametrize("body", ["<html>Log in</html>", "{}", "[]", '{"kubernetes_cluster": null}'])
def test_a_response_of_another_server_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", said.append)
    monkeypatch.setenv("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN", "0.001")
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    monkeypatch.setattr("httpx.Client", functools.partial(httpx.Client, transport=transport))
    with pytest.raises(SystemExit):
        live_cluster(Account(api_endpoint=None, stack=None, token="dop_v1_secret"), "c1")  # noqa: S106 -- of a test
    (line,) = said
    assert line.startswith(
        "DigitalOcean API call failed: GET kubernetes/clusters/c1: the answer isn't DigitalOcean's; "
    )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_request_that_is_refused_for_a_while_is_repeated(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN", "0.001")
    responses = iter([httpx.Response(status), httpx.Response(404)])
    transport = httpx.MockTransport(lambda _: next(responses))
    monkeypatch.setattr("httpx.Client", functools.partial(httpx.Client, transport=transport))
    account = Account(api_endpoint=None, stack=None, token="dop_v1_secret")  # noqa: S106 -- of a test
    assert live_cluster(account, "c1") is None
    assert list(responses) == []


@pytest.mark.parametrize(("endpoint", "uses_proxy"), [("http://127.0.0.1:1", False), (None, True)])
def test_no_proxy_gets_a_token_that_stays_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, uses_proxy: bool
) -> None:
    used: list[bool] = []
    client = httpx.Client

    def recorded(*, trust_env: bool, **options: Any) -> httpx.Client:  # noqa: ANN401 -- the client's
        used.append(trust_env)
        return client(transport=httpx.MockTransport(lambda _: httpx.Response(404)), **options)

    monkeypatch.setattr("httpx.Client", recorded)
    live_cluster(Account(api_endpoint=endpoint, stack=None, token="dop_v1_secret"), "c1")  # noqa: S106 -- of a test
    assert used == [uses_proxy]


@pytest.mark.parametrize("status", ["deleting", "deleted"])
@pytest.mark.parametrize("in_state", [True, False])
def test_an_up_beside_a_cluster_that_is_being_deleted_is_refused_if_the_state_has_that_one(
    monkeypatch: pytest.MonkeyPatch, status: str, in_state: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", said.append)
    monkeypatch.setattr(lookups, "check_access", lambda _: "")
    monkeypatch.setattr(lookups, "previous_output", {"cluster_id": "c1"}.get)
    clusters = {
        identifier: LiveCluster("mycluster", "fra1", version, state)
        for identifier, version, state in (("c1", "1.35.6-do.0", status), ("c2", "1.35.7-do.0", "running"))
    }
    monkeypatch.setattr(lookups, "live_cluster", lambda _, identifier: clusters[identifier])
    monkeypatch.setattr(lookups, "cluster_named", lambda *_: "c2")
    monkeypatch.setattr(lookups, "own_ids", lambda *kinds: [{"c1" if in_state else "c2"}, set()][: len(kinds)])
    account = Account(api_endpoint=None, stack=None, token="dop_v1_secret")  # noqa: S106 -- of a test
    if in_state:
        # It was deleted by hand: its API server goes, and with it everything that this `up` would change.
        with pytest.raises(SystemExit):
            lookups.plan_cluster(Settings(region="fra1"), account)
        (line,) = said
        assert "cluster mycluster (c1) is being deleted; allowed: a cluster that runs; fix: wait" in line
    else:
        # The `up` that replaced it failed later on: the new one is the stack's.
        assert lookups.plan_cluster(Settings(region="fra1"), account).version == "1.35.7-do.0"
        assert said == []


@pytest.mark.parametrize(("state", "is_found"), [("running", True), ("deleted", False), ("deleting", False)])
@pytest.mark.parametrize("before", [0, 199, 200, 401])
def test_a_cluster_is_found_by_its_name_on_any_page_unless_it_is_being_deleted(
    monkeypatch: pytest.MonkeyPatch, before: int, state: str, *, is_found: bool
) -> None:
    clusters = [{"id": f"c{number}", "name": f"n{number}", "status": {"state": "running"}} for number in range(before)]
    clusters.append({"id": "own", "name": "mycluster", "status": {"state": state}})

    def get(_: Account, path: str, read: Callable[[Any], list[Any]]) -> list[Any]:
        (number,) = map(int, re.findall(r"\?page=(\d+)&per_page=200$", path))
        return read({"kubernetes_clusters": clusters[200 * (number - 1) : 200 * number] or None})

    monkeypatch.setattr(live_clusters, "_get", get)
    account = Account(api_endpoint=None, stack=None)
    assert live_clusters.cluster_named(account, "mycluster") == ("own" if is_found else None)
