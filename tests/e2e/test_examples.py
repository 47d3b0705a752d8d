"""Every example as it stands, on the running stack."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from sandbox import images
from sandbox.paths import PROJECT
from tests.e2e.configured import Configured, configured
from tests.e2e.conftest import sandbox_command
from tests.e2e.stack import Stack, eventually

pytestmark = pytest.mark.soak

Check = Callable[[Configured], bool]
"""What has to become true of the stack with an example."""


def answers(path: str, status: int = 200, header: str = "", says: str = "", **sent: str) -> Check:
    """A request is answered so: with a header such as "Name: part of it", and with a part of the body."""
    name, _, value = header.partition(": ")

    def check(changed: Configured) -> bool:
        answer = changed.get(path, **sent)
        told = not name or (name in answer.headers and value in answer.headers[name])
        return answer.status_code == status and told and says in answer.text

    return check


def reaches(version: str, asked: range, **sent: str) -> Check:
    """Of a hundred requests for foo so many reach a version, which logs them."""

    def check(changed: Configured) -> bool:
        marked = f"/foo?{uuid4().hex}"
        with httpx.Client(headers=sent, timeout=10) as client:
            for _ in range(100):
                client.get(f"http://{changed.address}{marked}").raise_for_status()
        logs = ("kubectl", "logs", f"deployment/{version}-deployment", "--tail=300")
        return changed.stack.run(*logs).stdout.count(f"GET {marked} ") in asked

    return check


def is_there(kind: str, name: str, part: str, namespace: str = "default") -> Check:
    """An object of the cluster has this in it."""
    return lambda changed: part in json.dumps(changed.stack.kubernetes(kind, name, "-n", namespace))


FOO, BAR = (f"Hello from the {name} microservice" for name in ("foo", "bar"))
NONE, ALL = range(1), range(100, 101)

CHECKS: dict[str, list[Check]] = {
    "addresses": [answers("/foo", 403, says="IP address not allowed"), answers("/bar", says=BAR)],
    "aggregation": [
        answers("/overview", header="X-RateLimit-Limit-Minute: 60", says=FOO),
        answers("/overview", says='"complete":true'),
        answers("/bar", says=BAR),
    ],
    "auth": [answers("/foo", 401, "WWW-Authenticate: Bearer"), answers("/bar", says=BAR)],
    "blue-green": [answers("/foo", says=FOO), reaches("foo-green", NONE), answers("/bar", says=BAR)],
    "canary": [
        reaches("foo-canary", ALL, **{"X-Canary": "always"}),
        reaches("foo-canary", NONE, **{"X-Canary": "never"}),
        answers("/bar", says=BAR),
    ],
    # The authority that the example names isn't reached from here; the way to HTTPS is there without it.
    "certificates": [
        answers("/foo", 308, "Location: https://api.example.com/foo", Host="api.example.com"),
        answers("/bar", 308, "Location: https://api.example.com/bar", Host="api.example.com"),
    ],
    "everything": [
        answers("/foo", 401, "X-Request-ID"),
        answers("/greeting", header="X-Frame-Options: DENY", says=BAR),
        answers("/greeting", header="Cache-Control: no-store", says='"api":"v1"'),
        answers("/greeting", header="X-RateLimit-Limit-Second: 50"),
        answers("/greeting", 503, says="Back at noon", **{"X-Preview": "always"}),
        answers("/greeter.Greeter/Greet", 415),
        answers("/overview", 401, "WWW-Authenticate: Bearer"),
        is_there("ingress", "bar", "bar-blue-service"),
        is_there("httproute", "foo", "foo-canary-service"),
    ],
    # Requests that aren't gRPC.
    "grpc": [answers("/greeter.Greeter/Greet", 415), answers("/foo", says=FOO)],
    "network": [
        answers("/foo", says=FOO),
        answers("/bar", says=BAR),
        is_there("networkpolicy", "foo", "10.108.0.0/20"),
        is_there("networkpolicy", "bar", '"kubernetes.io/metadata.name": "jobs"'),
    ],
    "observability": [answers("/foo", header="X-Request-ID", says=FOO), answers("/bar", header="X-Request-ID")],
    "plugins": [answers("/foo", header="X-Order-ID: #", says=FOO), answers("/bar", says=BAR)],
    "protection": [
        answers("/foo", header="Content-Security-Policy: default-src 'none'", says=FOO),
        answers("/foo", 403, **{"User-Agent": "Googlebot/2.1"}),
        answers("/bar", 503, says="Back at noon"),
    ],
    "replicas": [
        answers("/foo", header="X-RateLimit-Limit-Minute: 60", says=FOO),
        is_there("deployment", "kong", '"readyReplicas": 2', "kong"),
        answers("/bar", says=BAR),
    ],
    "rate-limit": [
        answers("/foo", header="X-RateLimit-Limit-Minute: 60"),
        answers("/foo", header="X-RateLimit-Limit-Second: 5"),
        answers("/bar", header="X-RateLimit-Limit-Hour: 1000"),
    ],
    "transformation": [
        answers("/foo", header="Cache-Control: no-store", says='"api":"v1"'),
        answers("/greeting", says=BAR),
        answers("/bar", 404),
    ],
    "weighted-canary": [reaches("foo-canary", range(1, 31)), answers("/bar", says=BAR)],
}

ELSEWHERE = {"monitoring"}  # test_monitoring.py: its Grafana can't be had here


@pytest.fixture(scope="module")
def changed(stack: Stack) -> Iterator[Configured]:
    images.publish(print, [images.valkey()])
    with configured(stack) as changed:
        yield changed


@pytest.mark.parametrize("name", sorted({path.stem for path in (PROJECT / "examples").glob("*.yaml")} - ELSEWHERE))
def test_an_example_does_what_it_says(changed: Configured, name: str) -> None:
    ours = yaml.safe_load(changed.file.read_text())
    repositories = ("chartRepository", "certManagerChartRepository", "gatewayApiReleases")
    addresses = ("digitalocean:apiEndpoint", *(f"kong-doks:{each}" for each in repositories))
    example: dict[str, Any] = yaml.safe_load((PROJECT / "examples" / f"{name}.yaml").read_text())["config"]
    example |= {key: ours["config"][key] for key in addresses}
    changed.file.write_text(yaml.safe_dump(ours | {"config": example}))
    if "kong-doks:domain" in example:
        sandbox_command("certificates")
    changed.stack.up()
    for check in CHECKS[name]:
        eventually(partial(check, changed))
