"""The program's own words to Kong, on the proxy stand-in alone: without a cluster it takes a second."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.config import kong_plugins as policies
from infra.config import plugin_schema
from infra.config.gateway import GatewayPolicies
from infra.config.policies import RoutePolicies
from infra.monitoring.dashboard import dashboard
from sandbox.host.paths import tool
from tests.standins.gateway import Gateway, running
from tests.standins.test_kong_plugins_observe import soon
from tests.standins.test_kong_proxy import route, service

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")

CLAIMS = {
    "X-Consumer-ID": "forged",
    "X-Consumer-Custom-ID": "forged",
    "X-Consumer-Username": "forged",
    "X-Consumer-Groups": "forged",
    "X-Credential-Identifier": "forged",
    "X-Credential-Username": "forged",
    "X-Anonymous-Consumer": "forged",
}
ALICE = {"username": "alice", "keyauth_credentials": [{"key": "k"}], "acls": [{"group": "team-a"}]}


@pytest.mark.parametrize("config", [{}, {"allow": ["team-a"]}], ids=["auth", "auth and groups"])
def test_what_a_client_says_of_itself_doesnt_reach_a_service_behind_auth(
    gateway: Gateway, echo: int, config: dict[str, Any]
) -> None:
    rules = policies.route_rules(RoutePolicies.model_validate({"auth": "key-auth", **config}), GatewayPolicies())
    plugins = [{"name": name, "config": rules.plugins[name]} for name in rules.named]
    gateway.configure(service(echo, route(paths=["/"])), consumers=[ALICE], plugins=plugins)
    seen = gateway.client.get("/", headers={"apikey": "k", "X-Mine": "mine", **CLAIMS}).json()["headers"]
    assert "forged" not in seen.values()
    assert (seen["X-Consumer-Username"], seen["X-Mine"]) == ("alice", "mine")


def test_a_route_does_without_the_changes_of_the_gateways_that_it_switches_off(gateway: Gateway, echo: int) -> None:
    of_all = GatewayPolicies.model_validate({"securityHeaders": True, "requestHeaders": {"set": {"X-Via": "gateway"}}})
    off = RoutePolicies.model_validate({"securityHeaders": False, "requestHeaders": {}})
    everywhere = [{"name": n, "config": c} for n, c in policies.gateway_plugins(of_all).items()]
    there = [{"name": n, "config": c, "route": "off"} for n, c in policies.route_rules(off, of_all).plugins.items()]
    routes = [route(name=name, paths=[f"/{name}"]) for name in ("on", "off")]
    gateway.configure(service(echo, *routes), plugins=[*everywhere, *there])
    answers = [gateway.client.get(path) for path in ("/on", "/off")]
    assert ["X-Via" in answer.json()["headers"] for answer in answers] == [True, False]
    assert ["X-Content-Type-Options" in answer.headers for answer in answers] == [True, False]


def test_the_dashboard_asks_for_what_kong_counts(tmp_path: Path, echo: int) -> None:
    plugins = [{"name": n, "config": c} for n, c in policies.gateway_plugins(GatewayPolicies(metrics=True)).items()]
    with running(tmp_path) as gateway:
        gateway.configure(service(echo, route(paths=["/"])), plugins=plugins)
        gateway.client.get("/")
        exposed = soon(lambda: found if "kong_http_requests_total{" in (found := metrics(gateway)) else None)
    for panel in dashboard("default", ["foo"])["panels"]:
        for target in panel.get("targets", []):
            for metric, labels in re.findall(r"(kong_\w+)\{(.*?)\}", target["expr"]):
                (sample, *_) = re.findall(rf"^{metric}{{(.*)}} ", exposed, re.MULTILINE)
                assert set(re.findall(r"(\w+)=", labels)) <= set(re.findall(r"(\w+)=", sample)), target["expr"]


def metrics(gateway: Gateway) -> str:
    return gateway.status.get("/metrics").text


def test_the_schema_knows_every_field_that_the_proxy_has(gateway: Gateway) -> None:
    compared = 0
    for plugin in plugin_schema.plugins():
        if (answer := gateway.admin.get(f"/schemas/plugins/{plugin}")).status_code == 404:
            continue
        (config,) = [field["config"] for field in answer.json()["fields"] if "config" in field]
        described = {name: object() for field in config["fields"] for name in field}
        # Of a type that no field has: what is known is refused for that, and nothing as unknown.
        problems = {complaint.problem for complaint in plugin_schema.complaints(plugin, described)}
        assert problems == {"is not allowed"}, plugin
        compared += 1
    assert compared > 10
