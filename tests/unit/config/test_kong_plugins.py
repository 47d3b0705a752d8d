"""The plugins that policies become, and the routes that wait for them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import Field

from infra.config import kong_lua, plugin_configs
from infra.config import kong_plugins as policies
from infra.config.environment import gateway_environment
from infra.config.gateway import GatewayPolicies
from infra.config.policies import HEADERS_OF_KONG, Policies, RoutePolicies
from infra.config.service import Service
from infra.config.settings import Settings
from infra.config.transformations import Changes
from tests.unit.configurations import OTHER_REGISTRY, POLICIES, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared("example everything", "policies", "several gateways"),
    "consumers in clear": {"stack": "dev", "config": POLICIES},
    "secret gateway": {
        "stack": "dev",
        "config": {"kong-doks:gateway": {"tracing": {"url": "https://otel.example/planted-" + "token"}}},
        "secret_keys": ["kong-doks:gateway"],
    },
    "registry in clear": {
        "stack": "dev",
        "config": {"kong-doks:registry": OTHER_REGISTRY},
    },
}


@dataclass(frozen=True)
class Route:
    """A route's rules, with the configurations of its plugins by name, and the names of those that apply."""

    plugins: dict[str, plugin_configs.PluginConfig]
    applied: tuple[str, ...]
    route: Mapping[str, str]
    upstream: Mapping[str, str]


def route(of_all: GatewayPolicies | None = None, /, **config: Any) -> Route:  # noqa: ANN401 -- JSON
    rules = policies.route_rules(
        RoutePolicies.model_validate(config), of_all or GatewayPolicies(), plugin_configs.Context()
    )
    applied = tuple(sorted(plugin.name for plugin in rules.plugins if plugin.applies))
    return Route({plugin.name: plugin.config for plugin in rules.plugins}, applied, rules.route, rules.upstream)


def gateway(**config: Any) -> dict[str, plugin_configs.PluginConfig]:  # noqa: ANN401 -- JSON
    """Returns the gateway's plugins, except the one that it always has."""
    plugins = policies.gateway_plugins(GatewayPolicies.model_validate(config), plugin_configs.Context())
    return {plugin.name: plugin.config for plugin in plugins if plugin.name != "pre-function"}


def code(phase: str, **changes: Any) -> list[str]:  # noqa: ANN401 -- JSON
    """The Lua that changes JSON bodies in a phase."""
    return [kong_lua.edit_json(phase, Changes.model_validate(changes))]


ANSWERS = ("header_filter", "body_filter")


def answers(**changes: Any) -> dict[str, list[str]]:  # noqa: ANN401 -- JSON
    return {phase: code(phase, **changes) for phase in ANSWERS}


def annotations(recording: Recording, kind: str, name: str) -> dict[str, str]:
    return recording.one(kind, name).annotations


SECURE = [f"{name}:{value}" for name, value in plugin_configs.SECURITY_HEADERS.items()]


@pytest.fixture(scope="session")
def guarded(run: Callable[[str], Recording]) -> Recording:
    return run("policies")


def test_a_route_without_policies_has_none_of_kongs_objects(dev: Recording) -> None:
    for kind in ("KongPlugin", "KongConsumer"):
        assert dev.of(kind) == []
    assert [resource.name for resource in dev.of("KongClusterPlugin")] == ["gateway.pre-function"]
    for kind in ("Ingress", "Service"):
        assert not any(name.startswith("konghq.com/") for name in dev.one(kind, "foo").annotations)


def test_only_the_route_with_auth_names_plugins(guarded: Recording) -> None:
    assert annotations(guarded, "Ingress", "foo") == {"konghq.com/plugins": "foo.acl,foo.jwt,foo.request-transformer"}
    assert annotations(guarded, "Ingress", "bar") == {}


def test_a_plugin_is_a_kong_plugin_in_its_routes_namespace(guarded: Recording) -> None:
    plugin = guarded.one("KongPlugin", "foo.jwt")
    assert plugin.type == "kubernetes:configuration.konghq.com/v1:KongPlugin"
    assert plugin.inputs["apiVersion"] == "configuration.konghq.com/v1"
    assert plugin.inputs["metadata"]["name"] == "foo.jwt"
    assert plugin.inputs["metadata"]["namespace"] == guarded.one("Ingress", "foo").inputs["metadata"]["namespace"]
    assert plugin.inputs["plugin"] == "jwt"
    assert plugin.inputs["config"]["claims_to_verify"] == ["exp"]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"auth": "jwt"}, "jwt"),
        ({"auth": "key-auth"}, "key-auth"),
        ({"plugins": {"jwt": {"claims_to_verify": ["nbf"]}}}, "jwt"),
        ({"plugins": {"key-auth": {}}}, "key-auth"),
    ],
)
def test_both_auth_plugins_exist_so_that_switching_changes_only_the_route(config: dict[str, Any], named: str) -> None:
    rules = route(**config)
    assert {"jwt", "key-auth"} <= rules.plugins.keys()
    assert {"jwt", "key-auth"} & {*rules.applied} == {named}
    assert rules.plugins[named] == config.get("plugins", route(auth="jwt").plugins)[named]


CLAIMS = ["X-Credential-Username", "X-Consumer-Groups"]
SPELLINGS = route(auth="jwt").plugins["request-transformer"]["remove"]["headers"][len(CLAIMS) :]
"""Other spellings of headers that only Kong may set."""


@pytest.mark.parametrize(
    ("of_all", "config", "expected"),
    [
        ({}, {}, {"remove": {"headers": [*CLAIMS, *SPELLINGS]}}),
        ({}, {"allow": ["team-a"]}, {"remove": {"headers": [*CLAIMS, *SPELLINGS]}}),
        (
            {},
            {"requestHeaders": {"remove": ["X-A"]}, "requestQuery": {"add": {"b": "c"}}},
            {"remove": {"headers": ["X-A", *CLAIMS, *SPELLINGS]}, "add": {"querystring": ["b:c"]}},
        ),
        (
            {"requestHeaders": {"add": {"X-A": "b"}}},
            {},
            {"remove": {"headers": [*CLAIMS, *SPELLINGS]}, "add": {"headers": ["X-A:b"]}},
        ),
        (
            {"requestHeaders": {"add": {"X-A": "b"}}},
            {"plugins": {"request-transformer": {"remove": {"body": ["c"]}}}},
            {"remove": {"body": ["c"], "headers": [*CLAIMS, *SPELLINGS]}},
        ),
        ({}, {"plugins": {"acl": {"allow": ["team-a"]}}}, {"remove": {"headers": [*CLAIMS[:1], *SPELLINGS]}}),
        (
            {},
            {"responseBody": {"remove": ["debug"]}},
            {"remove": {"headers": [*CLAIMS, *SPELLINGS, "Accept-Encoding"]}},
        ),
    ],
    ids=[
        "alone",
        "with allow",
        "beside a change",
        "with the gateway's change",
        "beside a plugin",
        "acl",
        "beside changed answers",
    ],
)
def test_only_spoofable_headers_are_removed_behind_auth(
    of_all: dict[str, Any], config: dict[str, Any], expected: dict[str, Any]
) -> None:
    rules = route(GatewayPolicies.model_validate(of_all), auth="jwt", **config)
    assert rules.plugins["request-transformer"] == expected
    assert "request-transformer" in rules.applied


def test_a_route_depends_on_its_plugins_and_consumers(guarded: Recording) -> None:
    needs = guarded.before(guarded.one("Ingress", "foo"))
    assert {"KongPlugin foo.acl", "KongPlugin foo.jwt", "KongPlugin foo.key-auth"} <= needs
    assert {"KongConsumer alice", "KongConsumer bob", "KongClusterPlugin gateway.correlation-id"} <= needs
    assert "KongConsumer alice" not in guarded.before(guarded.one("Ingress", "bar"))


def test_pods_are_created_after_their_plugins_and_deleted_before_them(guarded: Recording) -> None:
    assert {"KongPlugin foo.acl", "KongPlugin foo.jwt"} <= guarded.before(guarded.one("Deployment", "foo"))
    assert "Release kong" not in guarded.before(guarded.one("Deployment", "bar"))


def test_kongs_objects_depend_on_its_crds_and_are_deleted_with_the_cluster(guarded: Recording) -> None:
    cluster = guarded.one("KubernetesCluster").urn
    objects = [
        resource for kind in ("KongPlugin", "KongClusterPlugin", "KongConsumer") for resource in guarded.of(kind)
    ]
    assert len(objects) == 8
    for resource in objects:
        assert "Release kong" in guarded.before(resource)
        assert resource.deleted_with == cluster


def test_consumers_and_global_plugins_have_the_ingress_class(guarded: Recording) -> None:
    for kind in ("KongConsumer", "KongClusterPlugin"):
        for resource in guarded.of(kind):
            assert resource.annotations == {"kubernetes.io/ingress.class": "kong"}
    for resource in guarded.of("KongClusterPlugin"):
        assert resource.inputs["metadata"]["labels"] == {"global": "true"}


def test_a_consumer_references_labelled_credential_secrets(guarded: Recording) -> None:
    assert guarded.one("KongConsumer", "alice").inputs["username"] == "alice"
    assert guarded.one("KongConsumer", "alice").inputs["credentials"] == ["alice.acl.team-a", "alice.jwt"]
    assert guarded.one("KongConsumer", "bob").inputs["credentials"] == ["bob.key-auth"]
    kinds = {"alice.acl.team-a": "acl", "alice.jwt": "jwt", "bob.key-auth": "key-auth"}
    for name, kind in kinds.items():
        secret = guarded.one("Secret", name)
        assert secret.inputs["metadata"]["labels"] == {"konghq.com/credential": kind}
        consumer = name.partition(".")[0]
        assert f"Secret {name}" in guarded.before(guarded.one("KongConsumer", consumer))


def test_credentials_are_secret_in_every_resource(guarded: Recording) -> None:
    token = {"key": "alice", "algorithm": "HS256", "secret": "planted-secret-of-32-characters!"}
    assert guarded.one("Secret", "alice.jwt").inputs["stringData"] == {"secret": token}
    everything = json.dumps(
        [resource.inputs for resource in guarded.resources if resource.type != "kubernetes:core/v1:Secret"]
    )
    assert "planted" not in everything + json.dumps(guarded.outputs)


def test_a_plain_text_consumer_secret_is_refused(run: Callable[[str], Recording]) -> None:
    recording = run("consumers in clear")
    (error,) = recording.errors
    assert [line.partition(": ")[0] for line in error.splitlines()] == [
        "kong-doks:consumers[0].jwt.secret",
        "kong-doks:consumers[1].apiKey",
    ]
    assert "fix: pulumi config set --secret --path 'kong-doks:consumers[0].jwt.secret'" in error
    assert "planted" not in error
    assert recording.resources == []


def test_a_plain_text_registry_password_is_refused(run: Callable[[str], Recording]) -> None:
    (error,) = run("registry in clear").errors
    assert error.startswith("kong-doks:registry.password: is in clear in the stack's file")
    assert "planted" not in error


def test_values_of_a_secret_gateway_section_are_secret_in_routes(run: Callable[[str], Recording]) -> None:
    recording = run("secret gateway")
    (container,) = recording.one("Deployment", "foo").inputs["spec"]["template"]["spec"]["containers"]
    endpoint = {"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "value": {"secret": "https://otel.example/planted-token"}}
    assert endpoint in container["env"]


@pytest.mark.parametrize("name", ["several gateways", "example everything"])
def test_an_empty_plugin_configuration_is_omitted(run: Callable[[str], Recording], name: str) -> None:
    # The API server wouldn't take it in the place of one that has fields.
    (bots,) = [resource for resource in run(name).of("KongPlugin") if resource.inputs["plugin"] == "bot-detection"]
    assert "config" not in bots.inputs


def test_a_refused_plugin_does_not_block_other_configuration(dev: Recording) -> None:
    values = dev.one("Release").inputs["values"]["ingressController"]
    assert values["env"]["feature_gates"] == "FallbackConfiguration=true"


@pytest.mark.parametrize(
    ("config", "plugin", "expected"),
    [
        (
            {"rateLimit": {"second": 5, "minute": 60}},
            "rate-limiting",
            {"second": 5, "minute": 60, "limit_by": "ip", "policy": "local"},
        ),
        (
            {"rateLimit": {"hour": 9, "by": "header", "header": "X-Tenant"}},
            "rate-limiting",
            {"hour": 9, "limit_by": "header", "header_name": "X-Tenant", "policy": "local"},
        ),
        (
            {"allowIps": ["10.0.0.0/8", "2001:db8::1"], "denyIps": ["10.1.2.3"]},
            "ip-restriction",
            {"allow": ["10.0.0.0/8", "2001:db8::1/128"], "deny": ["10.1.2.3/32"]},
        ),
        ({"bodyLimit": 8}, "request-size-limiting", {"allowed_payload_size": 8, "size_unit": "megabytes"}),
        ({"botDetection": True}, "bot-detection", {}),
        (
            {"botDetection": {"allow": ["Go-http-client/2.0"], "deny": ["curl"]}},
            "bot-detection",
            {"allow": [r"Go\-http\-client/2\.0"], "deny": ["curl"]},
        ),
        (
            {"cors": {"origins": ["https://example.com"], "methods": ["GET"], "credentials": True, "maxAge": 60}},
            "cors",
            {"origins": ["https://example.com"], "methods": ["GET"], "credentials": True, "max_age": 60},
        ),
        (
            {"terminate": {"message": "Back at noon"}},
            "request-termination",
            {"status_code": 503, "message": "Back at noon"},
        ),
        (
            {"requestHeaders": {"set": {"X-A": "b"}, "remove": ["X-C"]}, "requestQuery": {"rename": {"old": "new"}}},
            "request-transformer",
            {
                "remove": {"headers": ["X-C"]},
                "rename": {"querystring": ["old:new"]},
                "replace": {"headers": ["X-A:b"]},
                "add": {"headers": ["X-A:b"]},
            },
        ),
        ({"requestBody": {"add": {"a": "b"}}}, "post-function", {"access": code("access", add={"a": "b"})}),
        ({"plugins": {"proxy-cache": {"strategy": "memory"}}}, "proxy-cache", {"strategy": "memory"}),
    ],
)
def test_a_policy_becomes_a_plugin_of_a_route_or_of_the_gateway(
    config: dict[str, Any], plugin: str, expected: dict[str, Any]
) -> None:
    assert route(**config).plugins == {plugin: expected}
    assert route(**config).applied == (plugin,)
    assert gateway(**config) == {plugin: expected}


@pytest.mark.parametrize(
    ("config", "plugin", "expected"),
    [
        (
            {"requestId": True},
            "correlation-id",
            {"header_name": "X-Request-ID", "generator": "uuid", "echo_downstream": True},
        ),
        ({"accessLog": True}, "file-log", {"path": "/dev/stdout"}),
        ({"httpLog": {"url": "http://logs:9000/"}}, "http-log", {"http_endpoint": "http://logs:9000/"}),
        (
            {"metrics": True},
            "prometheus",
            {
                "status_code_metrics": True,
                "latency_metrics": True,
                "bandwidth_metrics": True,
                "upstream_health_metrics": True,
            },
        ),
        (
            {"tracing": {"url": "http://otel:4318/v1/traces", "sampling": 0.5}},
            "opentelemetry",
            {
                "traces_endpoint": "http://otel:4318/v1/traces",
                "resource_attributes": {"service.name": "kong"},
                "sampling_rate": 0.5,
            },
        ),
    ],
)
def test_gateway_only_policies_become_global_plugins(
    config: dict[str, Any], plugin: str, expected: dict[str, Any]
) -> None:
    assert gateway(**config) == {plugin: expected}


@pytest.mark.parametrize("monitoring", [True, {}, {"retention": "12h", "grafana": False}])
def test_monitoring_enables_the_metrics(monitoring: object) -> None:
    assert gateway(monitoring=monitoring) == gateway(metrics=True)
    assert gateway(monitoring=False) == {}


def test_custom_response_headers_override_security_headers() -> None:
    rules = route(securityHeaders=True, responseHeaders={"add": {"X-Frame-Options": "SAMEORIGIN"}, "remove": ["X-B"]})
    (config,) = rules.plugins.values()
    assert "X-Content-Type-Options:nosniff" in config["add"]["headers"]
    assert "X-Frame-Options:SAMEORIGIN" in config["add"]["headers"]
    assert "X-Frame-Options:DENY" not in config["add"]["headers"]
    assert config["remove"] == {"headers": ["X-B"]}


@pytest.mark.parametrize(
    ("of_all", "config", "plugin", "expected"),
    [
        (
            {"allowIps": ["10.0.0.0/8"]},
            {"denyIps": ["10.1.2.3"]},
            "ip-restriction",
            {"allow": ["10.0.0.0/8"], "deny": ["10.1.2.3/32"]},
        ),
        (
            {"denyIps": ["10.1.2.3"]},
            {"allowIps": ["10.0.0.0/8"]},
            "ip-restriction",
            {"allow": ["10.0.0.0/8"], "deny": ["10.1.2.3/32"]},
        ),
        (
            {"allowIps": ["10.0.0.0/8"]},
            {"plugins": {"ip-restriction": {"deny": ["10.1.2.3"]}}},
            "ip-restriction",
            {"allow": ["10.0.0.0/8"], "deny": ["10.1.2.3"]},
        ),
        (
            {"requestHeaders": {"add": {"X-A": "b"}}},
            {"requestQuery": {"remove": ["d"]}},
            "request-transformer",
            {"add": {"headers": ["X-A:b"]}, "remove": {"querystring": ["d"]}},
        ),
        (
            {"requestBody": {"remove": ["a"]}},
            {"responseBody": {"remove": ["b"]}},
            "post-function",
            {"access": code("access", remove=["a"]), **answers(remove=["b"])},
        ),
        (
            {"securityHeaders": True},
            {"responseHeaders": {"add": {"X-A": "b"}}},
            "response-transformer",
            {"add": {"headers": [*SECURE, "X-A:b"]}},
        ),
        (
            {"securityHeaders": True, "responseHeaders": {"remove": ["X-B"]}},
            {"securityHeaders": False},
            "response-transformer",
            {"remove": {"headers": ["X-B"]}},
        ),
        (
            {"responseHeaders": {"remove": ["X-A"]}},
            {"securityHeaders": False, "plugins": {"response-transformer": {"remove": {"json": ["b"]}}}},
            "response-transformer",
            {"remove": {"json": ["b"]}},
        ),
    ],
    ids=[
        "allowed ones beside denied ones",
        "denied ones beside allowed ones",
        "allowed ones beside a plugin",
        "parts of requests",
        "parts of bodies",
        "security headers beside others",
        "no security headers",
        "a plugin as it is written",
    ],
)
def test_a_routes_plugin_inherits_unset_fields_from_the_gateway(
    of_all: dict[str, Any], config: dict[str, Any], plugin: str, expected: dict[str, Any]
) -> None:
    assert route(GatewayPolicies.model_validate(of_all), **config).plugins[plugin] == expected


HEADER_LIMITS = {
    "nginx_proxy_large_client_header_buffers": "4 16k",
    "nginx_proxy_proxy_buffer_size": "16k",
    "nginx_proxy_proxy_buffers": "8 16k",
    "nginx_proxy_grpc_buffer_size": "16k",
}
UNCOMPRESSED = {"remove": {"headers": ["Accept-Encoding"]}}
CHANGED = {"responseBody": {"remove": ["debug"]}}


@pytest.mark.parametrize(
    ("of_all", "config", "expected"),
    [
        ({}, CHANGED, UNCOMPRESSED),
        (CHANGED, {"responseHeaders": {"remove": ["X-A"]}}, UNCOMPRESSED),
        (CHANGED, {"requestHeaders": {"remove": ["X-A"]}}, {"remove": {"headers": ["X-A", "Accept-Encoding"]}}),
        ({}, {"plugins": {"response-transformer": {"add": {"json": ["a:b"]}}}}, UNCOMPRESSED),
        # The gateway's does it.
        (CHANGED, {}, None),
        ({}, {"responseHeaders": {"remove": ["X-A"]}}, None),
    ],
)
def test_accept_encoding_is_removed_if_responses_are_transformed(
    of_all: dict[str, Any], config: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    assert route(GatewayPolicies.model_validate(of_all), **config).plugins.get("request-transformer") == expected
    assert gateway(**CHANGED)["request-transformer"] == UNCOMPRESSED


def test_spoofable_headers_are_removed_before_custom_lua_runs() -> None:
    own = {"rewrite": ["return 1"], "access": ["return 2"]}
    of_all = GatewayPolicies.model_validate({"plugins": {"pre-function": own}})
    (plugin,) = policies.gateway_plugins(of_all, plugin_configs.Context())
    assert plugin.config == {"rewrite": [kong_lua.clean_request(), "return 1"], "access": ["return 2"]}


def test_the_header_size_limit_is_configurable() -> None:
    environment = gateway_environment(GatewayPolicies.model_validate({"headerLimit": 64}))
    assert {value for name, value in environment.items() if name.startswith("nginx_proxy")} == {"4 64k", "64k", "8 64k"}


@pytest.mark.parametrize(
    ("removed", "headers"),
    [
        (["X-A"], None),
        (["server"], "Via,X-Kong-Upstream-Latency,X-Kong-Proxy-Latency,X-Kong-Response-Latency,X-Kong-Request-Id"),
        ([name.upper() for name in HEADERS_OF_KONG], "off"),
    ],
)
def test_kongs_own_headers_are_removed_by_its_headers_setting(removed: list[str], headers: str | None) -> None:
    of_all = GatewayPolicies.model_validate({"responseHeaders": {"remove": removed}})
    assert gateway_environment(of_all).get("headers") == headers
    # A service's own goes as well.
    assert gateway(responseHeaders={"remove": removed})["response-transformer"] == {"remove": {"headers": removed}}


def test_kongs_body_buffer_is_that_of_the_largest_transformed_body() -> None:
    def service(name: str, limit: int, **policies: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
        return {"name": name, "path": f"/{name}", "image": "a:1", "bodyLimit": limit} | policies

    changed = {"requestBody": {"remove": ["a"]}}
    services = [service("foo", 2, **changed), service("bar", 32, **changed), service("plain", 64)]
    assert Settings.model_validate({"services": services}).body_buffer_mib == 32
    assert Settings.model_validate({"services": services[2:]}).body_buffer_mib is None


def test_kongs_body_buffer_fits_transformed_bodies() -> None:
    assert "nginx_http_client_body_buffer_size" not in gateway_environment(GatewayPolicies())
    environment = gateway_environment(GatewayPolicies(), 2)
    assert environment == {**HEADER_LIMITS, "nginx_http_client_body_buffer_size": "2m"}


@pytest.mark.parametrize(
    ("of_all", "config", "plugin", "expected"),
    [
        ({"securityHeaders": True}, {"securityHeaders": False}, "response-transformer", {}),
        ({"responseBody": {"remove": ["a"]}}, {"responseBody": {}}, "post-function", {"access": ["return"]}),
        ({"requestHeaders": {"remove": ["X-A"]}}, {"requestHeaders": {}}, "request-transformer", {}),
        ({"requestQuery": {"remove": ["a"]}}, {"requestQuery": None}, "request-transformer", {}),
        (
            {"requestHeaders": {"remove": ["X-A"]}, "requestQuery": {"remove": ["b"]}},
            {"requestHeaders": {}},
            "request-transformer",
            {"remove": {"querystring": ["b"]}},
        ),
        (
            {"allowIps": ["10.0.0.0/8"], "denyIps": ["10.1.2.3"]},
            {"allowIps": []},
            "ip-restriction",
            {"deny": ["10.1.2.3/32"]},
        ),
        (
            {"allowIps": ["10.0.0.0/8"]},
            {"allowIps": [], "denyIps": ["192.0.2.1"]},
            "ip-restriction",
            {"deny": ["192.0.2.1/32"]},
        ),
    ],
    ids=[
        "security headers",
        "a body",
        "headers",
        "nothing instead of a query",
        "headers, but not the body",
        "allowed addresses, but not denied ones",
        "allowed addresses for denied ones",
    ],
)
def test_a_route_can_disable_policies_of_the_gateway(
    of_all: dict[str, Any], config: dict[str, Any], plugin: str, expected: dict[str, Any]
) -> None:
    rules = route(GatewayPolicies.model_validate(of_all), **config)
    assert (rules.plugins, rules.applied) == ({plugin: expected}, (plugin,))


def test_a_disabled_transformation_stays_disabled_behind_auth() -> None:
    of_all = GatewayPolicies.model_validate({"requestHeaders": {"remove": ["X-A"]}})
    rules = route(of_all, auth="jwt", requestHeaders={})
    assert rules.plugins["request-transformer"] == {"remove": {"headers": [*CLAIMS, *SPELLINGS]}}


@pytest.mark.parametrize(
    "config",
    [
        {"securityHeaders": False},
        {"requestHeaders": {}},
        {"allowIps": [], "denyIps": []},
        {"botDetection": False, "rateLimit": None, "cors": None, "terminate": None, "bodyLimit": None},
    ],
)
def test_disabled_policies_create_no_plugin(config: dict[str, Any]) -> None:
    none_of_it = GatewayPolicies.model_validate({"requestId": True})
    assert route(none_of_it, **config).plugins == {}
    assert list(policies.errors_for_undisablable_policies(RoutePolicies.model_validate(config), none_of_it)) == []


def test_a_route_without_own_policies_has_no_copy_of_gateway_plugins() -> None:
    of_all = {"allowIps": ["10.0.0.0/8"], "requestHeaders": {"remove": ["X-A"]}, "securityHeaders": True}
    assert route(GatewayPolicies.model_validate(of_all), bodyLimit=1).applied == ("request-size-limiting",)


def test_managed_plugins_lists_every_plugin_set_by_a_key() -> None:
    everything = {
        "rateLimit": {"minute": 1},
        "allowIps": ["10.0.0.0/8"],
        "bodyLimit": 1,
        "botDetection": True,
        "cors": {"origins": ["*"]},
        "terminate": {},
        "requestHeaders": {"remove": ["X-A"]},
        "responseBody": {"remove": ["a"]},
        "securityHeaders": True,
    }
    of_route = {**everything, "auth": "jwt", "allow": ["team-a"]}
    assert policies.managed_plugins(RoutePolicies.model_validate(of_route)) == set(route(**of_route).plugins)
    tracing = {"url": "http://otel:4318/v1/traces"}
    logs = {
        "requestId": True,
        "accessLog": True,
        "httpLog": {"url": "http://logs"},
        "metrics": True,
        "tracing": tracing,
    }
    of_all = {**everything, **logs}
    assert policies.managed_plugins(GatewayPolicies.model_validate(of_all)) == set(gateway(**of_all))


def test_paths_headers_timeouts_and_retries_are_annotations() -> None:
    assert route(stripPath=True).route == {"konghq.com/strip-path": "true"}
    assert route(whenHeaders={"X-Canary": "always"}).route == {"konghq.com/headers.X-Canary": "always"}
    rules = route(rewrite="/api", timeouts={"connect": 0.5, "read": 10}, retries=0)
    assert rules.route == {"konghq.com/strip-path": "true"}
    assert rules.upstream == {
        "konghq.com/path": "/api",
        "konghq.com/retries": "0",
        "konghq.com/connect-timeout": "500",
        "konghq.com/read-timeout": "10000",
    }
    assert rules.plugins == {}


def test_a_grpc_service_accepts_only_grpc() -> None:
    rules = route(protocol="grpc")
    assert rules.route == {"konghq.com/protocols": "grpc,grpcs"}
    assert rules.upstream == {"konghq.com/protocol": "grpc"}


def test_the_json_access_log_replaces_kongs_and_tracing_is_enabled() -> None:
    log = GatewayPolicies.model_validate({"accessLog": True})
    assert gateway_environment(log) == {**HEADER_LIMITS, "proxy_access_log": "off"}
    traced = GatewayPolicies.model_validate({"tracing": {"url": "http://otel:4318/v1/traces"}})
    assert gateway_environment(traced) == {
        **HEADER_LIMITS,
        "tracing_instrumentations": "all",
        "tracing_sampling_rate": "1.0",
    }
    assert gateway_environment(GatewayPolicies()) == HEADER_LIMITS


@pytest.mark.parametrize(
    ("config", "connect"),
    [
        ({}, None),
        ({"replicas": 2}, "2000"),
        ({"autoscale": {"min": 1, "max": 3}}, "2000"),
        ({"replicas": 2, "timeouts": {"connect": 10}}, "10000"),
        ({"replicas": 2, "timeouts": {"read": 10}}, "2000"),
    ],
)
def test_the_connect_timeout_is_short_with_several_replicas(config: dict[str, Any], connect: str | None) -> None:
    service = Service.model_validate({"name": "foo", "path": "/foo", "image": "user/foo:1"} | config)
    rules = policies.route_rules(service, GatewayPolicies(), plugin_configs.Context())
    assert rules.upstream.get("konghq.com/connect-timeout") == connect


def test_no_policy_has_a_default_that_every_route_would_inherit() -> None:
    # A route's plugin replaces the gateway's, so a default here would make every route override the gateway.
    defaults = Policies().model_dump()
    assert {name: value for name, value in defaults.items() if value} == {}


class GatewayWithDefault(GatewayPolicies):
    body_limit: int | None = Field(8, ge=1, le=1024)


def test_a_default_of_the_gateway_applies_to_routes_that_do_not_override_it() -> None:
    context = plugin_configs.Context()
    gateway = GatewayWithDefault()
    limits = [plugin for plugin in policies.gateway_plugins(gateway, context) if plugin.name == "request-size-limiting"]
    assert [plugin.config["allowed_payload_size"] for plugin in limits] == [8]
    assert policies.route_rules(RoutePolicies(), gateway, context).plugins == []
    route = RoutePolicies.model_validate({"bodyLimit": 64})
    (own,) = policies.route_rules(route, gateway, context).plugins
    assert own.config["allowed_payload_size"] == 64
