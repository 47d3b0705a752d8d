"""Versions of a service beside each other, and the requests between them; the definitions that the routes need."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.configurations import BAR, CANARY, FOO, shared
from tests.unit.conftest import Recording, Resource
from tests.unit.record import GATEWAY_KINDS, KONG_KINDS


def shared_by_weight(keys: dict[str, Any], weight: int = 10) -> dict[str, Any]:
    canary = {"image": "user/foo:2", "weight": weight}
    return {"stack": "dev", "config": {"kong-doks:services": [FOO | keys | {"canary": canary}]}}


CONFIGURATIONS = {
    **shared("blue-green", "canary", "egress", "local", "policies"),
    "canary where the gateway API is": {
        "stack": "dev",
        "config": CANARY | {"kong-doks:gatewayApiReleases": ""},
        "secret_keys": ["kong-doks:consumers"],
    },
    "canary by header and weight": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                FOO,
                {"name": "next", "path": "/foo", "image": "user/foo:2", "whenHeaders": {"X-Try": "next"}}
                | {"canary": {"image": "user/foo:3"}},
            ]
        },
    },
    "canary, plain": shared_by_weight({}),
    "canary, more weight": shared_by_weight({}, weight=50),
    "canary, slower": shared_by_weight({"timeouts": {"read": 10}}),
    "canary, several pods": shared_by_weight({"replicas": 2}),
    "canary, port": shared_by_weight({"port": 8080}),
    "canary, grpc": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO | {"protocol": "grpc", "canary": {"image": "user/foo:2"}}]},
    },
    "releases that are asked": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                {"name": "foo", "path": "/foo"}
                | {"blueGreen": {"blue": {"image": "a:1"}, "green": {"image": "a:2"}, "live": "green"}},
                BAR | {"egress": {"services": ["foo"]}, "canary": {"image": "b:2"}},
            ],
            "kong-doks:aggregates": [
                {"name": "overview", "path": "/overview", "backends": {"foo": "/foo", "bar": "/bar"}}
            ],
        },
    },
    "no chart": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://missing.example/"}},
    "no such chart": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://empty.example"}},
    "no such version": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://old.example"}},
    "no URL": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://["}},
    "no index": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://portal.example"}},
}


@pytest.fixture
def canary(run: Callable[[str], Recording]) -> Recording:
    return run("canary")


def annotations(resource: Resource) -> dict[str, str]:
    return resource.annotations


def backend_name(recording: Recording, version: str) -> str:
    """The name of the Service object that a route with weights leads to."""
    return str(recording.one("Service", f"{version}.backend").inputs["metadata"]["name"])


def container(recording: Recording, name: str) -> dict[str, Any]:
    (only,) = recording.one("Deployment", name).inputs["spec"]["template"]["spec"]["containers"]
    return dict(only)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """True if a selector selects a pod with such labels. An empty one selects all."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in selector.get("matchExpressions", [])
    )


def test_a_canary_is_a_deployment_and_a_service_of_its_own(canary: Recording) -> None:
    assert container(canary, "foo-canary")["image"] == "user/foo:2"
    assert {resource.name for resource in canary.of("Deployment")} == {"foo", "foo-canary", "bar"}
    service = canary.one("Service", "foo-canary").inputs
    pods = canary.one("Deployment", "foo-canary").inputs["spec"]["template"]["metadata"]["labels"]
    assert service["metadata"]["name"] == "foo-canary-service"
    assert selects({"matchLabels": service["spec"]["selector"]}, pods)
    assert not selects({"matchLabels": canary.one("Service", "foo").inputs["spec"]["selector"]}, pods)


def test_a_canary_shares_the_path_by_weight(canary: Recording) -> None:
    spec = canary.one("HTTPRoute").inputs["spec"]
    assert spec["parentRefs"] == [{"name": "kong", "namespace": "kong"}]
    (rule,) = spec["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/foo"}}]
    shares = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
    assert shares == {backend_name(canary, "foo"): 7500, backend_name(canary, "foo-canary"): 2500}
    assert {backend["port"] for backend in rule["backendRefs"]} == {5000}
    assert [resource.name for resource in canary.of("Ingress")] == ["bar"]


def test_a_canary_has_every_policy_of_its_service(canary: Recording, run: Callable[[str], Recording]) -> None:
    # The controller leaves a route out whose Services differ in an annotation of Kong's.
    assert annotations(canary.one("Service", "foo.backend")) == annotations(canary.one("Service", "foo-canary.backend"))
    for name in ("foo", "foo.backend"):
        assert annotations(canary.one("Service", name))["konghq.com/retries"] == "1"
    route = annotations(canary.one("HTTPRoute"))
    assert route["konghq.com/plugins"] == "foo.acl,foo.jwt,foo.rate-limiting,foo.request-transformer"
    assert route["konghq.com/strip-path"] == "true"
    assert route["konghq.com/protocols"] == "http,https"
    over_grpc = annotations(run("canary, grpc").one("HTTPRoute"))
    assert over_grpc["konghq.com/protocols"] == "grpc,grpcs"


def test_a_canary_of_a_header_route_shares_only_matching_requests(
    run: Callable[[str], Recording],
) -> None:
    recording = run("canary by header and weight")
    shared, other = recording.one("HTTPRoute", "next"), recording.one("Ingress", "foo")
    # The controller has headers of either kind of route from this.
    assert annotations(shared)["konghq.com/headers.X-Try"] == "next"
    (rule,) = shared.inputs["spec"]["rules"]
    names = {backend_name(recording, name) for name in ("next", "next-canary")}
    assert {backend["name"] for backend in rule["backendRefs"]} == names
    assert annotations(other) == {}


def test_a_weighted_route_depends_on_both_versions_and_plugins(canary: Recording) -> None:
    plugins = {"KongPlugin foo.acl", "KongPlugin foo.jwt", "KongPlugin foo.rate-limiting"}
    for name in ("foo", "foo-canary"):
        assert plugins <= canary.before(canary.one("Deployment", name))
    needs = canary.before(canary.one("HTTPRoute"))
    assert plugins <= needs
    assert {"Service foo.backend", "Service foo-canary.backend"} <= needs
    assert {"KongConsumer alice", "Release kong", "Gateway kong"} <= needs
    assert {f"CustomResourceDefinition {name}" for name in GATEWAY_KINDS} <= needs


@pytest.mark.parametrize(
    ("changed", "is_moved"),
    [("canary, more weight", False), ("canary, slower", True), ("canary, several pods", True), ("canary, port", True)],
)
def test_a_weighted_route_moves_to_new_service_objects_if_they_would_differ_for_a_moment(
    run: Callable[[str], Recording], changed: str, *, is_moved: bool
) -> None:
    before, after = run("canary, plain"), run(changed)
    for version in ("foo", "foo-canary"):
        assert (backend_name(before, version) != backend_name(after, version)) == is_moved
    assert annotations(after.one("Service", "foo.backend")) == annotations(after.one("Service", "foo-canary.backend"))


def test_a_route_has_moved_before_service_objects_change_that_it_led_to(canary: Recording) -> None:
    for name in ("foo", "foo-canary"):
        assert "HTTPRoute foo" in canary.before(canary.one("Service", name))


def test_new_service_objects_have_endpoints_before_the_route_moves(canary: Recording) -> None:
    for name in ("foo.backend", "foo-canary.backend"):
        assert "pulumi.com/skipAwait" not in annotations(canary.one("Service", name))


def test_an_ingress_is_deleted_after_its_replacement_is_programmed(canary: Recording) -> None:
    wait = annotations(canary.one("HTTPRoute"))["pulumi.com/waitFor"]
    assert wait == 'jsonpath={.status.parents[0].conditions[?(@.type=="Programmed")].status}=True'


def test_without_a_canary_there_is_no_gateway_api(dev: Recording, run: Callable[[str], Recording]) -> None:
    for recording in (dev, run("blue-green")):
        assert not [resource for resource in recording.resources if "gateway" in resource.inputs.get("apiVersion", "")]
        assert {resource.name for resource in recording.of("CustomResourceDefinition")} == set(KONG_KINDS)


def test_kongs_crds_come_from_its_chart_before_any_object(dev: Recording, run: Callable[[str], Recording]) -> None:
    recording = run("policies")
    for kind, name in zip(("KongPlugin", "KongClusterPlugin", "KongConsumer"), KONG_KINDS, strict=True):
        assert recording.of(kind)
        for resource in recording.of(kind):
            assert f"CustomResourceDefinition {name}" in recording.before(resource)
        definition = dev.one("CustomResourceDefinition", name)
        assert definition.inputs["spec"]["names"]["plural"] == name.partition(".")[0]
        # What the cluster fills in would show as a difference.
        assert "status" not in definition.inputs
        assert "creationTimestamp" not in definition.inputs["metadata"]
        assert annotations(definition) == {"from": "the author"}


def test_crds_have_every_field_without_descriptions(dev: Recording) -> None:
    for name in KONG_KINDS:
        (version,) = dev.one("CustomResourceDefinition", name).inputs["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        assert "description" not in schema
        assert schema["properties"] == {"description": {"type": "string", "default": {"description": "a value"}}}


def test_crds_are_deleted_only_with_the_stacks_own_cluster(canary: Recording) -> None:
    definitions = canary.of("CustomResourceDefinition")
    assert {definition.name for definition in definitions} == {*KONG_KINDS, *GATEWAY_KINDS}
    assert {definition.deleted_with for definition in definitions} == {canary.one("KubernetesCluster").urn}
    assert {definition.retained for definition in definitions} == {True}


def test_in_an_existing_cluster_crds_are_retained(run: Callable[[str], Recording]) -> None:
    assert {(resource.deleted_with, resource.retained) for resource in run("local").of("CustomResourceDefinition")} == {
        ("", True)
    }


def test_on_doks_the_stack_owns_the_gateway_apis_crds(canary: Recording) -> None:
    policies = {
        resource.name: annotations(resource).get("doks.digitalocean.com/install-policy")
        for resource in canary.of("CustomResourceDefinition")
    }
    assert policies == dict.fromkeys(GATEWAY_KINDS, "external") | dict.fromkeys(KONG_KINDS)


def test_an_existing_gateway_api_is_left_alone(run: Callable[[str], Recording]) -> None:
    recording = run("canary where the gateway API is")
    assert recording.one("HTTPRoute").name == "foo"
    assert {resource.name for resource in recording.of("CustomResourceDefinition")} == set(KONG_KINDS)


def test_blue_and_green_both_run_and_one_is_live(run: Callable[[str], Recording]) -> None:
    recording = run("blue-green")
    assert {resource.name for resource in recording.of("Deployment")} == {"foo-blue", "foo-green"}
    (rule,) = recording.one("Ingress", "foo").inputs["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"]["name"] == "foo-green-service"
    assert recording.outputs["foo_url"] == "http://203.0.113.10/foo"


def test_a_version_inherits_unset_fields_from_its_service(run: Callable[[str], Recording]) -> None:
    recording = run("blue-green")
    seen = {
        name: (
            recording.one("Deployment", name).inputs["spec"]["replicas"],
            {variable["name"]: variable["value"] for variable in container(recording, name)["env"]},
            "httpGet" in container(recording, name)["readinessProbe"],
        )
        for name in ("foo-blue", "foo-green")
    }
    common = {"PORT": "5000", "LOG_LEVEL": "info"}
    assert seen == {
        "foo-blue": (2, common | {"MODE": "old"}, True),
        "foo-green": (3, common | {"MODE": "new"}, False),
    }


def policies(recording: Recording) -> dict[str, Any]:
    return {resource.name: resource.inputs["spec"] for resource in recording.of("NetworkPolicy")}


def test_network_policies_cover_every_version(run: Callable[[str], Recording]) -> None:
    recording = run("releases that are asked")
    rules = policies(recording)
    whose = {"foo-blue": "foo", "foo-green": "foo", "bar": "bar", "bar-canary": "bar", "overview": "overview"}
    pods = {
        resource.name: resource.inputs["spec"]["template"]["metadata"]["labels"]
        for resource in recording.of("Deployment")
    }
    assert set(pods) == set(whose)
    *_, from_kong = rules["kong"]["egress"]
    for name, labels in pods.items():
        assert {policy for policy in set(whose.values()) if selects(rules[policy]["podSelector"], labels)} == {
            whose[name]
        }
        assert any(selects(peer["podSelector"], labels) for peer in from_kong["to"])
    # Bar calls foo, and the aggregate both: every version of the one may, and every version of the other lets it.
    for caller, called in (("bar", "foo"), ("overview", "foo"), ("overview", "bar")):
        outward = [peer.get("podSelector") for rule in rules[caller]["egress"] for peer in rule.get("to", [])]
        (inward,) = rules[called]["ingress"]
        others = [peer["podSelector"] for peer in inward["from"][1:]]
        assert all(
            any(selector and selects(selector, pods[name]) for selector in outward)
            for name in pods
            if whose[name] == called
        )
        assert all(any(selects(other, pods[name]) for other in others) for name in pods if whose[name] == caller)


def test_adding_or_removing_a_version_changes_no_policy(canary: Recording, dev: Recording) -> None:
    # A change would be in force before the new version answers, and while the old one still does.
    assert policies(canary) == policies(dev)


def test_an_aggregate_requests_the_live_version(run: Callable[[str], Recording]) -> None:
    (told,) = [
        json.loads(variable["value"])
        for variable in container(run("releases that are asked"), "overview")["env"]
        if variable["name"] == "AGGREGATE"
    ]
    urls = {name: backend["url"] for name, backend in told["backends"].items()}
    assert urls == {"foo": "http://foo-green-service:5000/foo", "bar": "http://bar-service:5000/bar"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no chart", "\"https://missing.example/\" can't be used (Client error '404 Not Found' for url"),
        (
            "no such chart",
            "\"https://empty.example\" can't be used ('kong'); allowed: a repository with the chart kong 3.",
        ),
        ("no such version", '"https://old.example" doesn\'t have it; allowed: a repository with the chart kong 3.'),
        ("no URL", '"https://[" can\'t be used (Invalid'),
        ("no index", '"https://portal.example" can\'t be used ('),
    ],
)
def test_an_unavailable_chart_is_reported_before_the_first_resource(
    run: Callable[[str], Recording], name: str, said: str
) -> None:
    recording = run(name)
    assert recording.resources == []
    assert recording.invoked == []
    (error,) = recording.errors
    assert error.startswith(f"kong-doks:chartRepository: {said}")
    assert "\n" not in error
    assert "; fix: " in error
    assert recording.status != 0
