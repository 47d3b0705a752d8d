"""The page: what it shows, what it never shows, and that it is a closed route."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.config import versions
from infra.services.route import ingress_paths
from tests.unit.configurations import BAR, FOO, shared
from tests.unit.conftest import Recording
from tests.unit.loading import ALICE, loaded, refused

CONFIGURATIONS = {
    **shared("example page"),
    "page, encrypted": {
        "stack": "dev",
        "config": {"kong-doks:gateway": {"page": {"requestHeaders": {"set": {"X-Key": "planted-word"}}}}},
        "secret_keys": ["kong-doks:gateway"],
    },
}
PLANTED = "planted"


def shown(services: list[dict[str, Any]], **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """The content that the page's container receives."""
    config: dict[str, Any] = {"services": services, "gateway": {"page": True}, "consumers": [ALICE], **more}
    settings = loaded(config, ["services", "consumers", "gateway"])
    page = settings.gateway.page
    assert page
    environment = page.environment(page.versions[page.name], settings.workloads, settings.gateway)
    result: dict[str, Any] = json.loads(environment["PAGE"])
    return result


def test_the_page_has_the_services_with_their_routes_policies_and_probes() -> None:
    foo = FOO | {"auth": "jwt", "allow": ["team-a"], "canary": {"image": "user/foo:2", "weight": 25}}
    greeter = {"name": "greeter", "path": "/greeter.Greeter", "build": "apps/greeter", "protocol": "grpc"}
    content = shown([foo, BAR | {"port": 8080, "health": "/up"}, greeter])
    policies = {service["name"]: service["policies"] for service in content["services"]}
    assert policies == {"foo": ["auth: jwt", "allow: 1 entry"], "bar": [], "greeter": ["protocol: grpc"]}
    assert {service["path"] for service in content["services"]} == {"/foo", "/bar", "/greeter.Greeter"}
    assert [version for service in content["services"] for version in service["versions"]] == [
        {"name": "foo", "weight": 75, "host": "foo-service", "port": 5000, "probe": "/healthz"},
        {"name": "foo-canary", "weight": 25, "host": "foo-canary-service", "port": 5000, "probe": None},
        {"name": "bar", "weight": 100, "host": "bar-service", "port": 8080, "probe": "/up"},
        {"name": "greeter", "weight": 100, "host": "greeter-service", "port": 5000, "probe": None},
    ]


def test_the_page_has_the_versions_and_the_policies_of_all_routes() -> None:
    gateway = {"page": True, "requestId": True, "rateLimit": {"second": 5, "by": "service"}, "replicas": 2}
    content = shown([FOO], gateway=gateway)
    assert content["policies"] == ["rateLimit: second 5, by service", "replicas: 2", "requestId"]
    assert [versions.project_version(), versions.KONG, versions.KONG_CONTROLLER] == [*content["versions"].values()]


def test_the_page_shows_the_idle_version_of_a_blue_green_service_and_aggregates() -> None:
    foo = {"name": "foo", "path": "/foo"} | {
        "blueGreen": {"blue": {"build": "apps/foo"}, "green": {"build": "apps/foo"}, "live": "green"}
    }
    aggregate = {"name": "all", "path": "/all", "backends": {"bar": "/bar"}}
    services = shown([foo, BAR], aggregates=[aggregate])["services"]
    assert [(version["name"], version["weight"]) for service in services for version in service["versions"]] == [
        ("foo-blue", 0),
        ("foo-green", 100),
        ("bar", 100),
        ("all", 100),
    ]


SECRETIVE: dict[str, Any] = {
    "env": {"PASSWORD": PLANTED},
    "auth": "jwt",
    "allow": [PLANTED],
    "allowIps": ["192.0.2.7"],
    "requestHeaders": {"set": {"X-Planted": PLANTED}, "remove": ["X-Planted"]},
    "requestQuery": {"add": {PLANTED: PLANTED}},
    "responseBody": {"rename": {PLANTED: "x"}},
    "whenHeaders": {"X-Planted": PLANTED},
    "cors": {"origins": [f"https://{PLANTED}.example"]},
    "botDetection": {"allow": [PLANTED]},
    "terminate": {"message": PLANTED},
    "rateLimit": {"minute": 5, "by": "header", "header": "X-Planted"},
    "rewrite": f"/{PLANTED}",
    "plugins": {"basic-auth": {"realm": PLANTED}, "request-size-limiting": {"allowed_payload_size": 7654321}},
    "timeouts": {"read": 2.5},
    "egress": {"internet": False, "networks": ["192.0.2.8"]},
}


def test_the_page_shows_only_names_and_paths_of_the_stack_file() -> None:
    url = f"https://user:{PLANTED}@logs.example/{PLANTED}"
    gateway = {
        "page": {"requestHeaders": {"set": {"X-Key": PLANTED}}},
        "httpLog": {"url": url},
        "tracing": {"url": url, "sampling": 0.25},
        "plugins": {"proxy-cache": {"strategy": "memory", "content_type": [PLANTED]}},
        "monitoring": {"retention": "4321d", "grafana": False},
    }
    foo = {"name": "foo", "path": "/foo", "image": f"{PLANTED}/foo:1", "health": "/ok"} | SECRETIVE
    alice = ALICE | {"groups": [PLANTED], "apiKey": f"{PLANTED}-key-of-20-chars"}
    content = shown([foo], gateway=gateway, consumers=[alice])
    text = json.dumps(content).lower()
    for secret in (PLANTED, "192.0.2", "7654321", "4321d"):
        assert secret not in text
    assert content["services"][0]["policies"] == [
        "rateLimit: minute 5, by header, header",
        "allowIps: 1 entry",
        "botDetection: allow 1 entry",
        "cors: origins 1 entry",
        "terminate: message",
        "requestHeaders: set 1 entry, remove 1 entry",
        "requestQuery: add 1 entry",
        "responseBody: rename 1 entry",
        "plugins: 2 entries",
        "auth: jwt",
        "allow: 1 entry",
        "timeouts: read 2.5",
        "whenHeaders: 1 entry",
        "rewrite",
    ]
    assert content["policies"] == [
        "plugins: 1 entry",
        "httpLog: url",
        "monitoring: retention, grafana false",
        "tracing: url, sampling 0.25",
    ]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "the name of a service": (
        {"name": "foo"},
        'gateway.page.name: "foo" is not allowed; allowed: a name that no other service',
    ),
    "the path of a service": (
        {"path": "/foo"},
        'gateway.page.path: "/foo" is not allowed; allowed: a path that no other service',
    ),
    "the path of the health check": (
        {"path": "/healthz"},
        'gateway.page.path: "/healthz" is not allowed; allowed: any',
    ),
    "another protocol": ({"protocol": "grpc"}, 'gateway.page.protocol: "grpc" is not allowed; allowed: unset on the'),
    "traces": ({"tracing": True}, "gateway.page.tracing: true is not allowed; allowed: unset on the page"),
    "a way out": ({"egress": {"internet": True}}, "gateway.page.egress: is not allowed; allowed: unset on the page"),
    "tokens that nobody has": ({"auth": "key-auth"}, 'gateway.page.auth: "key-auth" is not allowed'),
    "an unknown group": ({"auth": "jwt", "allow": ["x"]}, 'gateway.page.allow[0]: "x" is not allowed; allowed: groups'),
    "an image of its own": ({"build": "apps/foo"}, "gateway.page.build: is not a known key"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_key_value_allowed_and_fix(mistake: str) -> None:
    page, expected = MISTAKES[mistake]
    lines = refused({"services": [FOO], "consumers": [ALICE], "gateway": {"page": page}})
    (line,) = [line for line in lines if expected in line]
    assert line.startswith("kong-doks:")
    assert "; fix: " in line


def test_a_page_too_large_for_its_container_is_refused() -> None:
    services = [{"name": f"s{n:03}", "path": f"/{'x' * 1000}{n}", "image": "user/some:1"} for n in range(120)]
    (line,) = refused({"services": services, "gateway": {"page": True}})
    assert line.startswith("kong-doks:gateway.page: is not allowed; allowed: only if the services' names, paths and")
    loaded({"services": services[:90], "gateway": {"page": True}})


def test_the_page_is_off_by_default(dev: Recording) -> None:
    assert loaded({"services": [FOO], "gateway": {"page": False}}).workloads == loaded({"services": [FOO]}).workloads
    assert "page" not in {resource.name for resource in dev.of("Deployment")}


def test_the_page_is_a_closed_route_like_that_of_a_service(run: Callable[[str], Recording]) -> None:
    recording = run("example page")
    assert recording.one("Image", "page").inputs["context"]["location"] == "apps/page"
    route = recording.one("Ingress", "page").inputs
    assert route["metadata"]["annotations"]["konghq.com/plugins"] == "page.ip-restriction,page.rate-limiting"
    (rule,) = route["spec"]["rules"]
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [("/~/$", "ImplementationSpecific")]
    assert recording.outputs["page_url"] == "http://203.0.113.10/"
    plugins = {recording.one("KongPlugin", f"page.{name}").urn for name in ("ip-restriction", "rate-limiting")}
    assert plugins <= {*recording.one("Ingress", "page").needs}
    assert plugins <= {*recording.one("Deployment", "page").needs}


def test_the_page_reaches_the_services_and_nothing_else(run: Callable[[str], Recording]) -> None:
    recording = run("example page")
    dns, *rules = recording.one("NetworkPolicy", "page").inputs["spec"]["egress"]
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    names = [rule["to"][0]["podSelector"]["matchExpressions"][0]["values"] for rule in rules]
    assert names == [["bar"], ["foo"]]
    for service in ("foo", "bar"):
        (rule,) = recording.one("NetworkPolicy", service).inputs["spec"]["ingress"]
        assert rule["from"][1]["podSelector"]["matchExpressions"][0]["values"] == ["page"]
    (rule,) = recording.one("NetworkPolicy", "page").inputs["spec"]["ingress"]
    assert len(rule["from"]) == 1


def test_secrets_of_the_gateway_stay_secret_on_the_page(run: Callable[[str], Recording]) -> None:
    recording = run("page, encrypted")
    assert "secret" in recording.one("KongPlugin", "page.request-transformer").inputs["config"]
    (variable,) = [variable for variable in recording.pod("page")["containers"][0]["env"] if variable["name"] == "PAGE"]
    assert "secret" in variable["value"]


def test_an_exact_path_matches_no_child() -> None:
    assert ingress_paths("/status.html", is_exact=True) == [(r"/~/status\.html$", "ImplementationSpecific")]
