"""Aggregates: their resources, and the services that they may call."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.configurations import BAR, FOO, shared
from tests.unit.conftest import Recording
from tests.unit.loading import ALICE, loaded, refused

CONFIGURATIONS = {
    **shared("example aggregation"),
}

BACKENDS = {"foo": "/foo", "bar": "/bar"}
OVERVIEW = {"name": "overview", "path": "/overview", "backends": BACKENDS}


def stack(foo: dict[str, Any] | None = None, **overview: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """Foo, with more of it or without; bar; and an aggregate of both."""
    return {"services": [FOO | (foo or {}), BAR], "aggregates": [OVERVIEW | overview], "consumers": [ALICE]}


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nobody to ask": (
        stack(backends={}),
        "aggregates[0].backends: is not allowed; allowed: services with paths; fix: ",
    ),
    "a stranger": (
        stack(backends={"fo": "/"}),
        "aggregates[0].backends.fo: is not allowed; allowed: services that speak HTTP, which are bar, foo; fix: ",
    ),
    "an aggregate of aggregates": (stack(backends={"overview": "/"}), "aggregates[0].backends.overview: is not"),
    "a service of another protocol": (
        stack({"protocol": "grpc"}),
        "aggregates[0].backends.foo: is not allowed; allowed: services that speak HTTP, which are bar; fix: ",
    ),
    "not a path": (stack(backends={"foo": "foo"}), 'aggregates[0].backends.foo.path: "foo" is not allowed'),
    "no time at all": (stack(timeout=0), "aggregates[0].timeout: 0 is not allowed; allowed: seconds for each service"),
    "too much time": (
        stack(backends={"foo": {"path": "/", "timeout": 61}}),
        "aggregates[0].backends.foo.timeout: 61 is not allowed; allowed: seconds, up to 60",
    ),
    "a header of the connection": (
        stack(headers=["Connection"]),
        'aggregates[0].headers[0]: "Connection" is not allowed; allowed: a header of the request, not of its',
    ),
    "a path to something else": (stack(rewrite="/x"), 'aggregates[0].rewrite: "/x" is not allowed; allowed: unset'),
    "an image of its own": (stack(build="apps/foo"), "aggregates[0].build: is not a known key"),
    "the path of the health check": (stack(path="/healthz"), 'aggregates[0].path: "/healthz" is not allowed'),
    "the name of a service": (
        stack(name="foo"),
        'aggregates[0].name: "foo" is not allowed; allowed: a name that no other service',
    ),
    "the path of a service": (
        stack(path="/bar"),
        'aggregates[0].path: "/bar" is not allowed; allowed: a path that no other service',
    ),
    "a way around tokens": (
        stack({"auth": "jwt"}),
        "aggregates[0].auth: is not allowed; allowed: the same as of foo, or the aggregate would bypass that policy;",
    ),
    "a way around groups": (
        stack({"auth": "jwt", "allow": ["team-a"]}, auth="jwt"),
        "aggregates[0].allow: is not allowed; allowed: some of foo's, which are team-a; fix: write allow: [team-a]",
    ),
    "a way around addresses": (stack({"denyIps": ["192.0.2.0/24"]}), "aggregates[0].denyIps: is not allowed"),
    "a way around the gateway's addresses": (
        stack(allowIps=["0.0.0.0/0"]) | {"gateway": {"allowIps": ["10.0.0.0/8"]}},
        "aggregates[0].allowIps: is not allowed; allowed: the same as of foo",
    ),
    "a way around a plugin": (stack({"plugins": {"basic-auth": {}}}), "aggregates[0].plugins.basic-auth: is not"),
    "tokens that nobody has": (
        stack(auth="key-auth"),
        'aggregates[0].auth: "key-auth" is not allowed; allowed: what a consumer has a credential for',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_is_one_line_with_key_value_allowed_and_fix(mistake: str) -> None:
    config, expected = MISTAKES[mistake]
    (line,) = [line for line in refused(config) if expected in line]
    assert line.startswith("kong-doks:")
    assert "; allowed: " in line
    assert "; fix: " in line


@pytest.mark.parametrize(
    ("foo", "overview"),
    [
        ({"auth": "jwt", "allow": ["team-a"]}, {"auth": "jwt", "allow": ["team-a"]}),
        ({"auth": "jwt"}, {"auth": "jwt", "allow": ["team-a"]}),
        ({"allowIps": ["10.0.0.0/8"]}, {"allowIps": ["10.0.0.0/8"], "rateLimit": {"minute": 1}}),
        ({"rateLimit": {"minute": 1}}, {}),
    ],
)
def test_an_aggregate_with_the_same_auth_is_accepted(foo: dict[str, Any], overview: dict[str, Any]) -> None:
    assert loaded(stack(foo, **overview)).aggregates[0].name == "overview"


def told(config: dict[str, Any]) -> dict[str, Any]:
    settings = loaded(config)
    (aggregate,) = settings.aggregates
    environment = aggregate.environment(aggregate.versions[aggregate.name], settings.workloads, settings.gateway)
    result: dict[str, Any] = json.loads(environment["AGGREGATE"])
    return result


def test_the_aggregates_environment_lists_services_paths_and_timeout() -> None:
    config = stack(
        {"port": 8080}, backends={"bar": {"path": "/b", "timeout": 0.5}, "foo": "/foo"}, headers=["X-Tenant"]
    )
    assert told(config) == {
        "path": "/overview",
        "backends": {
            "bar": {"url": "http://bar-service:5000/b", "timeout": 0.5},
            "foo": {"url": "http://foo-service:8080/foo", "timeout": 2},
        },
        "identity": False,
        "headers": ["X-Tenant"],
    }


def test_identity_headers_are_forwarded_only_with_auth() -> None:
    assert told(stack(auth="jwt"))["identity"] is True


def test_an_aggregate_accepts_the_policies_of_a_service(run: Callable[[str], Recording]) -> None:
    recording = run("example aggregation")
    assert recording.one("Image", "overview").inputs["context"]["location"] == "apps/aggregate"
    (container,) = recording.pod("overview")["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert "AGGREGATE" in {variable["name"] for variable in container["env"]}
    route = recording.one("Ingress", "overview").inputs["metadata"]
    assert route["annotations"]["konghq.com/plugins"] == "overview.ip-restriction,overview.rate-limiting"
    assert recording.outputs["overview_url"] == "http://203.0.113.10/overview"
