"""The `digitalocean` provider's registries and functions, and the plugin as a process."""

import base64
import json
import os
import subprocess
import sys
from typing import Any

import grpc
import psutil
import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.digitalocean.faults import Fault
from sandbox.digitalocean.provider.properties import Properties, decode, encode, secrets_in
from tests.standins.digitalocean_provider.engine import TOKEN, Account, Engine, Refused, Stored
from tests.support import PATIENCE, eventually

REGISTRY: Properties = {"name": "shop", "subscriptionTierSlug": "starter", "region": "nyc3"}
CREDENTIALS = "ContainerRegistryDockerCredentials"


def test_a_registry_is_named_by_the_sandbox_s_address(account: Account, engine: Engine) -> None:
    made = engine.create("ContainerRegistry", REGISTRY)
    assert [call[:2] for call in account.calls] == [
        ("POST", "registry"),
        ("GET", "registries/shop"),
        ("GET", "registries/subscription"),
    ]
    assert account.calls[0][2] == {"name": "shop", "subscription_tier_slug": "starter", "region": "nyc3"}
    assert made.id == "shop"
    assert made.state["serverUrl"] == "127.0.0.1:5500"
    assert made.state["endpoint"] == "127.0.0.1:5500/shop"
    assert not engine.diff(made, REGISTRY).diffs
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert refreshed.state == made.state


def test_a_registrys_tier_changes_in_place_and_name_or_region_replace_it(account: Account, engine: Engine) -> None:
    made = engine.create("ContainerRegistry", REGISTRY)
    basic = REGISTRY | {"subscriptionTierSlug": "basic"}
    assert not engine.diff(made, basic).replaces
    account.calls.clear()
    assert engine.update(made, basic).state["subscriptionTierSlug"] == "basic"
    assert account.calls[0] == ("POST", "registries/subscription", {"tier_slug": "basic"})
    for change in ({"name": "other"}, {"region": "fra1"}):
        answer = engine.diff(made, REGISTRY | change)
        assert list(answer.replaces) == list(change)
        assert answer.deleteBeforeReplace


def test_a_missing_registry_is_dropped_by_a_refresh_and_cannot_be_deleted(engine: Engine) -> None:
    made = engine.create("ContainerRegistry", REGISTRY)
    engine.delete(made)
    assert engine.refresh(made) is None
    with pytest.raises(Refused, match=r"Error deleting container registry: DELETE .*: 404"):
        engine.delete(made)


def test_a_registry_whose_read_fails_after_its_create_is_stored_as_partial(account: Account, engine: Engine) -> None:
    account.cloud.faults.append(Fault(path="subscription", status=403))
    with pytest.raises(Refused, match="Error retrieving container registry subscription") as refused:
        engine.create("ContainerRegistry", REGISTRY)
    assert refused.value.partial
    assert refused.value.partial[0] == "shop"


def test_registry_credentials_are_secret_and_work(account: Account, engine: Engine) -> None:
    engine.create("ContainerRegistry", REGISTRY)
    account.calls.clear()
    made = engine.create(CREDENTIALS, {"registryName": "shop"})
    assert [path for _, path, _ in account.calls] == [
        "registries/shop",
        "registries/shop/docker-credentials?expiry_seconds=1576800000&read_write=false",
    ]
    assert made.id == "shop"
    assert made.secrets == {"dockerCredentials"}
    (entry,) = json.loads(made.state["dockerCredentials"])["auths"].values()
    user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    assert user
    assert user == password


def test_registry_credentials_are_renewed_when_their_date_has_passed_or_their_rights_change(
    account: Account, engine: Engine
) -> None:
    engine.create("ContainerRegistry", REGISTRY)
    made = engine.create(CREDENTIALS, {"registryName": "shop", "expirySeconds": 3600})
    kept = engine.refresh(made)
    assert kept is not None
    assert kept.state == made.state
    writing = engine.update(made, made.inputs | {"write": True})
    assert writing.state["dockerCredentials"] != made.state["dockerCredentials"]
    assert writing.state["credentialExpirationTime"] == made.state["credentialExpirationTime"]
    made.state["credentialExpirationTime"] = "2024-01-01T00:00:00Z"
    renewed = engine.refresh(made)
    assert renewed is not None
    assert renewed.state["dockerCredentials"] != made.state["dockerCredentials"]
    assert renewed.state["credentialExpirationTime"] > "2026"
    account.calls.clear()
    given = len(account.cloud.registries.credentials)
    engine.delete(renewed)
    assert [call[:2] for call in account.calls] == [("POST", "/v1/oauth/revoke")]
    assert len(account.cloud.registries.credentials) == given - 1


@pytest.mark.parametrize("fault", [{"status": 422}, {"status": 500, "times": None}, {"kind": "refuse", "times": None}])
def test_failed_credentials_are_never_requested_again(account: Account, engine: Engine, fault: Properties) -> None:
    engine.create("ContainerRegistry", REGISTRY)
    inputs = {"registryName": "shop"}
    account.cloud.faults.append(Fault(path="docker-credentials", **fault))
    with pytest.raises(Refused, match="Error retrieving docker credentials") as refused:
        engine.create(CREDENTIALS, inputs)
    account.cloud.faults.clear()
    assert refused.value.partial
    identity, state = refused.value.partial
    assert identity == "shop"
    assert "dockerCredentials" not in state
    assert state["credentialExpirationTime"] > "2070"
    checked = engine.check(CREDENTIALS, inputs)
    stored = Stored(checked["urn"], identity, checked["inputs"], state, set())
    for later in (engine.update(stored, inputs), engine.refresh(stored)):
        assert later
        assert "dockerCredentials" not in later.state
    with pytest.raises(Refused, match="unexpected end of JSON input"):
        engine.delete(stored)
    healed = engine.update(stored, inputs | {"write": True})
    assert json.loads(healed.state["dockerCredentials"])["auths"]


def test_a_revocation_ignores_the_status(account: Account, engine: Engine) -> None:
    engine.create("ContainerRegistry", REGISTRY)
    made = engine.create(CREDENTIALS, {"registryName": "shop"})
    account.cloud.faults.append(Fault(path="oauth/revoke", status=500))
    engine.delete(made)


def test_the_plugin_crashes_if_the_revocation_endpoint_is_unreachable(account: Account, engine: Engine) -> None:
    engine.create("ContainerRegistry", REGISTRY)
    made = engine.create(CREDENTIALS, {"registryName": "shop"})
    account.cloud.faults.append(Fault(path="oauth/revoke", kind="refuse"))
    plugin = subprocess.Popen(
        [sys.executable, "-m", "sandbox.digitalocean.provider", "127.0.0.1:1"],
        env=os.environ | {"DIGITALOCEAN_API_URL": account.url, "DIGITALOCEAN_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert plugin.stdout
    with grpc.insecure_channel(f"127.0.0.1:{plugin.stdout.readline().strip()}") as channel:
        other = Engine(channel)
        other.configure()
        with pytest.raises(Refused):
            other.delete(made)
    _, said = plugin.communicate(timeout=PATIENCE)
    assert said.startswith("panic: runtime error")
    assert plugin.returncode == 2


def test_credentials_for_no_registry_have_no_id(engine: Engine) -> None:
    with pytest.raises(Refused, match="expected non-nil error with nil state"):
        engine.create(CREDENTIALS, {"registryName": "nowhere"})


@pytest.mark.parametrize(
    ("kind", "inputs", "key", "reason"),
    [
        ("ContainerRegistry", {"name": "shop"}, "subscriptionTierSlug", "Missing required argument"),
        ("ContainerRegistry", REGISTRY | {"subscriptionTierSlug": "gold"}, "subscriptionTierSlug", "got gold"),
        (CREDENTIALS, {"registryName": "shop", "expirySeconds": -1}, "expirySeconds", "in the range"),
        ("KubernetesCluster", {"region": "nyc1", "nodePool": {"name": "a"}}, "version", "Missing required argument"),
        ("KubernetesCluster", {"region": "nyc1", "nodePool": {"name": "a"}}, "nodePool.size", "Missing required"),
        ("KubernetesCluster", {"routingAgent": {"enabled": True}}, "routingAgent", "not in the stand-in"),
    ],
)
def test_wrong_inputs_are_refused(engine: Engine, kind: str, inputs: Properties, key: str, reason: str) -> None:
    assert reason in engine.check(kind, inputs)["failures"][key]


def test_unsupported_inputs_are_refused_by_name(engine: Engine) -> None:
    with pytest.raises(Refused, match="not in the stand-in: digitalocean:index/droplet:Droplet"):
        engine.check("Droplet", {})
    with pytest.raises(Refused, match="not in the stand-in: digitalocean:index/getAccount:getAccount"):
        engine.invoke("getAccount")


def test_versions_are_looked_up_by_prefix_newest_first(engine: Engine) -> None:
    versions = decode(engine.invoke("getKubernetesVersions", versionPrefix="1.3"))
    assert versions["validVersions"] == ["1.36.3-do.0", "1.35.7-do.0", "1.34.10-do.0"]
    assert versions["latestVersion"] == "1.36.3-do.0"
    assert decode(engine.invoke("getKubernetesVersions", versionPrefix="1.35."))["latestVersion"] == "1.35.7-do.0"
    assert "latestVersion" not in decode(engine.invoke("getKubernetesVersions", versionPrefix="1.29."))


def test_a_registry_is_read_by_its_name(engine: Engine) -> None:
    engine.create("ContainerRegistry", REGISTRY)
    urn = engine.check("ContainerRegistry", REGISTRY)["urn"]
    refreshed = engine.refresh(Stored(urn, "shop", {}, {}, set()))
    assert refreshed
    assert refreshed.state["endpoint"] == "127.0.0.1:5500/shop"
    assert engine.refresh(Stored(urn, "yours", {}, {}, set())) is None


def test_unknown_provider_settings_are_refused_and_the_token_is_secret_as_in_the_stack(
    engine: Engine,
) -> None:
    def check(*secrets: str, **settings: str) -> Any:  # noqa: ANN401 -- a message
        urn = "urn:pulumi:dev::kong-doks::pulumi:providers:digitalocean::default"
        return engine.rpc.CheckConfig(provider_pb2.CheckRequest(urn=urn, news=encode(settings, secrets)))

    answer = check(token=TOKEN, apiEndpoint="http://127.0.0.1:7070")
    assert secrets_in(answer.inputs) == set()
    assert not answer.failures
    assert secrets_in(check("token", token=TOKEN).inputs) == {"token"}
    assert [failure.property for failure in check(tokn=TOKEN).failures] == ["tokn"]


def test_the_plugin_prints_its_port_and_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys; "
        "plugin = subprocess.Popen([sys.executable, '-m', 'sandbox.digitalocean.provider', '127.0.0.1:1'],"
        " stdout=subprocess.PIPE, text=True); print(plugin.pid, plugin.stdout.readline(), flush=True)"
    )
    # The plugin inherits no pipe of the test, so the output ends with its parent.
    answer = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    pid, port = map(int, answer.stdout.split())
    assert 1024 < port < 65536

    def ended() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    eventually(ended)
