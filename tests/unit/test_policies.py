"""What policies become, and what waits for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra import policies
from infra.policy_settings import GatewayPolicies, RoutePolicies
from tests.unit.conftest import Recording


def route(**config: Any) -> policies.RouteRules:  # noqa: ANN401 -- JSON
    return policies.route_rules(RoutePolicies.model_validate(config))


def gateway(**config: Any) -> policies.Plugins:  # noqa: ANN401 -- JSON
    return policies.gateway_plugins(GatewayPolicies.model_validate(config))


def annotations(recording: Recording, kind: str, name: str) -> dict[str, str]:
    found: dict[str, str] = recording.one(kind, name).inputs["metadata"].get("annotations", {})
    return found


@pytest.fixture(scope="session")
def guarded(run: Callable[[str], Recording]) -> Recording:
    return run("policies")


def test_a_route_without_policies_has_none_of_kongs_objects(dev: Recording) -> None:
    for kind in ("KongPlugin", "KongClusterPlugin", "KongConsumer"):
        assert dev.of(kind) == []
    for kind in ("Ingress", "Service"):
        assert "annotations" not in dev.one(kind, "foo").inputs["metadata"]


def test_only_the_route_with_auth_names_plugins(guarded: Recording) -> None:
    assert annotations(guarded, "Ingress", "foo") == {"konghq.com/plugins": "foo.acl,foo.jwt"}
    assert annotations(guarded, "Ingress", "bar") == {}


def test_a_plugin_is_kongs_object_beside_its_route(guarded: Recording) -> None:
    plugin = guarded.one("KongPlugin", "foo.jwt")
    assert plugin.type == "kubernetes:configuration.konghq.com/v1:KongPlugin"
    assert plugin.inputs["apiVersion"] == "configuration.konghq.com/v1"
    assert plugin.inputs["metadata"]["name"] == "foo.jwt"
    assert plugin.inputs["metadata"]["namespace"] == guarded.one("Ingress", "foo").inputs["metadata"]["namespace"]
    assert plugin.inputs["plugin"] == "jwt"
    assert plugin.inputs["config"]["claims_to_verify"] == ["exp"]


def test_going_from_one_kind_of_auth_to_the_other_changes_nothing_but_the_route() -> None:
    tokens, keys = route(auth="jwt"), route(auth="key-auth")
    assert tokens.plugins == keys.plugins
    assert (tokens.named, keys.named) == (("jwt",), ("key-auth",))


def test_a_route_waits_for_every_plugin_and_consumer_that_it_names(guarded: Recording) -> None:
    needs = guarded.before(guarded.one("Ingress", "foo"))
    assert {"KongPlugin foo.acl", "KongPlugin foo.jwt", "KongPlugin foo.key-auth"} <= needs
    assert {"KongConsumer alice", "KongConsumer bob", "KongClusterPlugin gateway.correlation-id"} <= needs
    assert "KongConsumer alice" not in guarded.before(guarded.one("Ingress", "bar"))


def test_pods_behind_plugins_start_after_them_and_end_before_them(guarded: Recording) -> None:
    assert {"KongPlugin foo.acl", "KongPlugin foo.jwt"} <= guarded.before(guarded.one("Deployment", "foo"))
    assert "Release kong" not in guarded.before(guarded.one("Deployment", "bar"))


def test_kongs_objects_wait_for_kongs_kinds_and_go_with_the_cluster(guarded: Recording) -> None:
    cluster = guarded.one("KubernetesCluster").urn
    objects = [each for kind in ("KongPlugin", "KongClusterPlugin", "KongConsumer") for each in guarded.of(kind)]
    assert len(objects) == 6
    for each in objects:
        assert "Release kong" in guarded.before(each)
        assert each.deleted_with == cluster


def test_consumers_and_plugins_for_all_bear_the_class_that_the_controller_looks_for(guarded: Recording) -> None:
    for kind in ("KongConsumer", "KongClusterPlugin"):
        for each in guarded.of(kind):
            assert each.inputs["metadata"]["annotations"] == {"kubernetes.io/ingress.class": "kong"}
    (plugin,) = guarded.of("KongClusterPlugin")
    assert plugin.inputs["metadata"]["labels"] == {"global": "true"}


def test_a_consumer_names_its_credentials_which_are_labelled_secrets(guarded: Recording) -> None:
    assert guarded.one("KongConsumer", "alice").inputs["username"] == "alice"
    assert guarded.one("KongConsumer", "alice").inputs["credentials"] == ["alice.acl.team-a", "alice.jwt"]
    assert guarded.one("KongConsumer", "bob").inputs["credentials"] == ["bob.key-auth"]
    kinds = {"alice.acl.team-a": "acl", "alice.jwt": "jwt", "bob.key-auth": "key-auth"}
    for name, kind in kinds.items():
        secret = guarded.one("Secret", name)
        assert secret.inputs["metadata"]["labels"] == {"konghq.com/credential": kind}
        consumer = name.partition(".")[0]
        assert f"Secret {name}" in guarded.before(guarded.one("KongConsumer", consumer))


def test_credentials_are_secret_wherever_they_are(guarded: Recording) -> None:
    token = {"key": "alice", "algorithm": "HS256", "secret": "planted-secret-of-32-characters!"}
    assert guarded.one("Secret", "alice.jwt").inputs["stringData"] == {"secret": token}
    everything = json.dumps([each.inputs for each in guarded.resources if each.type != "kubernetes:core/v1:Secret"])
    assert "planted" not in everything + json.dumps(guarded.outputs)


def test_a_secret_of_a_consumer_that_is_in_clear_is_refused(run: Callable[[str], Recording]) -> None:
    recording = run("consumers in clear")
    (error,) = recording.errors
    assert [line.partition(": ")[0] for line in error.splitlines()] == [
        "kong-doks:consumers[0].jwt.secret",
        "kong-doks:consumers[1].apiKey",
    ]
    assert "fix: pulumi config set --secret --path 'kong-doks:consumers[0].jwt.secret'" in error
    assert "planted" not in error
    assert recording.resources == []


def test_what_kong_refuses_stops_nothing_else(dev: Recording) -> None:
    values = dev.one("Release").inputs["values"]["ingressController"]
    assert values["env"]["feature_gates"] == "FallbackConfiguration=true"
