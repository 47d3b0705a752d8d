"""The program's Kong configuration on the proxy stand-in alone: without a cluster it takes a second."""

import copy
import functools
import http.server
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.config import kong_plugins as policies
from infra.config import plugin_configs
from infra.config.gateway import GatewayPolicies
from infra.config.policies import RoutePolicies
from infra.monitoring.dashboard import dashboard
from sandbox.toolchain.build import tool
from tests.standins.gateway import Gateway, route, running, served, service
from tests.support import eventually

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")

IDENTITY = (
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Credential-Username",
    "X-Anonymous-Consumer",
)
FORWARDED = ("X-Real-IP", *(f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Path", "Prefix")))


def spellings(name: str) -> Iterator[str]:
    """All spellings of a header that a server of the CGI convention takes for the same."""
    first, *rest = name.split("-")
    for marks in itertools.product("-_", repeat=len(rest)):
        yield first + "".join(mark + part for mark, part in zip(marks, rest, strict=True))


CLAIMS = {spelling: "forged" for name in IDENTITY for spelling in spellings(name)} | {
    spelling: "forged" for name in FORWARDED for spelling in spellings(name) if "_" in spelling
}
ALICE = {"username": "alice", "keyauth_credentials": [{"key": "k"}], "acls": [{"group": "team-a"}]}


def applied(plugins: Sequence[policies.Plugin], **scope: str) -> list[dict[str, Any]]:
    """Returns the plugins that apply, as Kong's configuration has them: with the fields that the controller adds."""
    return [{"name": plugin.name, "config": _complete(plugin), **scope} for plugin in plugins if plugin.applies]


def _complete(plugin: policies.Plugin) -> dict[str, Any]:
    config = copy.deepcopy(dict(plugin.config))
    for path in plugin.store_password_paths:
        *outer, name = path.strip("/").split("/")
        functools.reduce(lambda fields, key: fields.setdefault(key, {}), outer, config)[name] = "secret"
    return config


def test_a_shared_rate_limit_is_accepted_with_its_password(gateway: Gateway, echo: int) -> None:
    limited = RoutePolicies.model_validate({"rateLimit": {"minute": 1}})
    shared = plugin_configs.Context(rate_limit_store="127.0.0.1")
    plugins = applied(policies.route_rules(limited, GatewayPolicies(), shared).plugins)
    assert "password" in plugins[0]["config"]["redis"]
    gateway.configure(service(echo, route(paths=["/"])), plugins=plugins)
    # No store answers: requests pass uncounted.
    assert [gateway.client.get("/").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("config", [{}, {"allow": ["team-a"]}], ids=["auth", "auth and groups"])
def test_spoofed_identity_headers_are_removed_behind_auth(gateway: Gateway, echo: int, config: dict[str, Any]) -> None:
    guarded = RoutePolicies.model_validate({"auth": "key-auth", **config})
    plugins = applied(policies.route_rules(guarded, GatewayPolicies(), plugin_configs.Context()).plugins)
    cleaned = applied(policies.gateway_plugins(GatewayPolicies(), plugin_configs.Context()))
    # Each of the two alone: what a route has behind auth, and what the gateway has for all.
    for everywhere in ([], cleaned):
        there = [one for one in plugins if not everywhere or one["name"] != "request-transformer"]
        gateway.configure(service(echo, route(paths=["/"])), consumers=[ALICE], plugins=[*everywhere, *there])
        seen = gateway.client.get("/", headers={"apikey": "k", "X-Mine": "mine", "My_Own": "mine", **CLAIMS}).json()
        assert "forged" not in seen["headers"].values()
        assert (seen["headers"]["X-Consumer-Username"], seen["headers"]["X-Mine"]) == ("alice", "mine")
        assert seen["headers"]["My_own"] == "mine"


def test_a_spoofed_header_is_removed_behind_a_hundred_others(gateway: Gateway, echo: int) -> None:
    plugins = applied(policies.gateway_plugins(GatewayPolicies(), plugin_configs.Context()))
    gateway.configure(service(echo, route(paths=["/"])), plugins=plugins)
    headers = {f"A{n}": "b" for n in range(70)} | CLAIMS
    assert len(headers) > 100
    assert "forged" not in gateway.client.get("/", headers=headers).json()["headers"].values()


def test_host_matching_is_case_insensitive(gateway: Gateway, echo: int) -> None:
    plugins = applied(policies.gateway_plugins(GatewayPolicies(), plugin_configs.Context()))
    gateway.configure(service(echo, route(paths=["/"], hosts=["api.example.com"])), plugins=plugins)
    for host in ("API.Example.COM", "api.example.com", "Api.example.com:8443"):
        answer = gateway.client.get("/", headers={"Host": host})
        assert (answer.status_code, answer.json()["headers"]["Host"]) == (200, host.lower())


def test_values_of_headers_and_query_reach_the_service_as_written(gateway: Gateway, echo: int) -> None:
    values = [
        "$(5)",
        "$(NAME)",
        "$(headers.host)",
        "$$(a) $",
        "costs $5 (net)",
        "$((",
        '$("$")(x)',
        "{vault://env/HOME}",
    ]
    fields = {f"x-{number}": value for number, value in enumerate(values)}
    route_ = RoutePolicies.model_validate(
        {
            "requestHeaders": {"set": fields, "rename": {"X-Old": "X-New"}},
            "requestQuery": {"add": fields, "rename": {"old": "$(uri_captures.a)"}},
        }
    )
    plugins = applied(policies.route_rules(route_, GatewayPolicies(), plugin_configs.Context()).plugins)
    gateway.configure(service(echo, route(paths=["/"])), plugins=plugins)
    seen = gateway.client.get("/?old=1", headers={"X-1": "theirs", "X-Old": "1"}).json()
    sent = {name: seen["headers"][name.title()] for name in fields}
    query = dict(parse_qsl(urlsplit(seen["path"]).query))
    assert (sent, seen["headers"]["X-New"], query) == (fields, "1", {**fields, "$(uri_captures.a)": "1"})


JSON = {"Content-Type": "application/json"}


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers with the body that it was sent, or in two parts of a stream."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("X-Answer-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (body[: len(body) // 2], body[len(body) // 2 :]):
            if part:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture(scope="module")
def mirror() -> Iterator[int]:
    with served(Mirror) as port:
        yield port


def change_bodies(gateway: Gateway, mirror: int, key: str, changes: dict[str, Any]) -> None:
    changed = RoutePolicies.model_validate({key: changes})
    plugins = applied(policies.route_rules(changed, GatewayPolicies(), plugin_configs.Context()).plugins)
    gateway.configure(service(mirror, route(paths=["/"])), plugins=plugins)


CHANGES = {
    "remove": ["gone", "ünï"],
    "rename": {"old": "new"},
    "set": {"s": 'a"b\\c'},
    "add": {"a": "x", "there": "no"},
}


@pytest.mark.parametrize("key", ["requestBody", "responseBody"])
@pytest.mark.parametrize(
    ("body", "changed"),
    [
        # Numbers keep their digits and their form.
        (
            '{"id":12345678901234567890,"at":1700000000.123456,"price":1.50,"there":1e400}',
            '{"id":12345678901234567890,"at":1700000000.123456,"price":1.50,"there":1e400,"s":"a\\"b\\\\c","a":"x"}',
        ),
        (
            '{"old":[{"deep":[1.10,"}"]}],"there":null}',
            '{"new":[{"deep":[1.10,"}"]}],"there":null,"s":"a\\"b\\\\c","a":"x"}',
        ),
        ('{ "s" : 1 , "a" : false, "there":0 }', '{"s":"a\\"b\\\\c","a":false,"there":0}'),
        # A name is the same in whatever way it is written; all fields of one name are meant.
        ('{"g\\u006fne":1,"\\u00fcn\\u00ef":2,"ünï":3,"a":4,"there":5,"gone":6}', '{"a":4,"there":5,"s":"a\\"b\\\\c"}'),
        ("{}", '{"s":"a\\"b\\\\c","a":"x","there":"no"}'),
        # What is no object stays as it is.
        *((body, body) for body in ("true", "5", '"text"', "null", "[1,2.50]", '{"gone":1', '{"gone":1}x', "gone=1")),
    ],
)
def test_only_the_named_fields_of_a_body_change(
    gateway: Gateway, mirror: int, key: str, body: str, changed: str
) -> None:
    change_bodies(gateway, mirror, key, CHANGES)
    answer = gateway.client.post("/", content=body.encode(), headers=JSON)
    assert (answer.status_code, answer.text) == (200, changed)
    text = {"Content-Type": "text/plain", "X-Answer-Type": "text/plain"}
    assert gateway.client.post("/", content=body.encode(), headers=text).text == body


def test_a_large_body_is_transformed(gateway: Gateway, mirror: int) -> None:
    long = "x" * 300_000
    for key in ("requestBody", "responseBody"):
        change_bodies(gateway, mirror, key, {"remove": ["gone"]})
        answer = gateway.client.post("/", json={"gone": 1, "long": long}, headers=JSON)
        assert answer.text == f'{{"long":"{long}"}}'


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters=":"), min_size=1, max_size=5)
_VALUES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(lambda value: value[0] != ":")
_BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(_NAMES, _BODIES, max_size=5),
    data=st.data(),
    form=st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 1])}),
)
def test_a_transformed_body_matches_the_model(
    gateway: Gateway, mirror: int, body: dict[str, Any], data: st.DataObject, form: dict[str, Any]
) -> None:
    names = st.sampled_from([*body]) | _NAMES if body else _NAMES
    changes: dict[str, Any] = {
        "remove": data.draw(st.lists(names, max_size=2)),
        "set": data.draw(st.dictionaries(names, _VALUES, max_size=2)),
        "add": data.draw(st.dictionaries(names, _VALUES, max_size=2)),
    }
    expected = {name: value for name, value in body.items() if name not in changes["remove"]}
    expected = changes["add"] | expected | changes["set"]
    change_bodies(gateway, mirror, "responseBody", changes)
    encoded = json.dumps(body, **form).encode()
    assert json.loads(gateway.client.post("/", content=encoded, headers=JSON).content) == expected


def test_a_route_can_disable_transformations_of_the_gateway(gateway: Gateway, echo: int) -> None:
    of_all = GatewayPolicies.model_validate({"securityHeaders": True, "requestHeaders": {"set": {"X-Via": "gateway"}}})
    off = RoutePolicies.model_validate({"securityHeaders": False, "requestHeaders": {}})
    everywhere = applied(policies.gateway_plugins(of_all, plugin_configs.Context()))
    there = applied(policies.route_rules(off, of_all, plugin_configs.Context()).plugins, route="off")
    routes = [route(name=name, paths=[f"/{name}"]) for name in ("on", "off")]
    gateway.configure(service(echo, *routes), plugins=[*everywhere, *there])
    answers = [gateway.client.get(path) for path in ("/on", "/off")]
    assert ["X-Via" in answer.json()["headers"] for answer in answers] == [True, False]
    assert ["X-Content-Type-Options" in answer.headers for answer in answers] == [True, False]


def test_the_dashboard_queries_existing_metrics(tmp_path: Path, echo: int) -> None:
    plugins = applied(policies.gateway_plugins(GatewayPolicies(metrics=True), plugin_configs.Context()))
    with running(tmp_path) as gateway:
        gateway.configure(service(echo, route(paths=["/"])), plugins=plugins)
        gateway.client.get("/")
        exposed = eventually(
            lambda: text if "kong_http_requests_total{" in (text := metrics(gateway)) else None, pause=0.01
        )
    for panel in dashboard("default", ["foo"])["panels"]:
        for target in panel.get("targets", []):
            for metric, labels in re.findall(r"(kong_\w+)\{(.*?)\}", target["expr"]):
                (sample, *_) = re.findall(rf"^{metric}{{(.*)}} ", exposed, re.MULTILINE)
                assert set(re.findall(r"(\w+)=", labels)) <= set(re.findall(r"(\w+)=", sample)), target["expr"]


def metrics(gateway: Gateway) -> str:
    return gateway.status.get("/metrics").text
