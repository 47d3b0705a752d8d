"""Every example unchanged on the running stack, except for Alice's key pair: the test needs her private key."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.host.addresses import NODE
from sandbox.host.paths import PROJECT
from sandbox.images import catalog as images
from tests.e2e import inside
from tests.e2e.configured import Configured, configured
from tests.e2e.stack import Stack, stack_file
from tests.e2e.tokens import public, token
from tests.pictures.browser import evaluated, framed
from tests.support import PATIENCE, eventually, sandbox_command

pytestmark = pytest.mark.soak

Check = Callable[[Configured], bool]
"""A check that the stack with an example has to pass in the end."""


def answers(path: str, status: int = 200, header: str = "", says: str = "", **sent: str) -> Check:
    """A request is answered so: with a header such as "Name: part of it", and with a part of the body."""
    name, _, value = header.partition(": ")

    def check(changed: Configured) -> bool:
        answer = changed.get(path, **sent)
        told = not name or (name in answer.headers and value in answer.headers[name])
        return answer.status_code == status and told and says in answer.text

    return check


def answers_to(client: str, path: str, status: int) -> Check:
    """Checks the response to a request from an address, which the test sends to Kong as the load balancer does."""

    def check(changed: Configured) -> bool:
        ports = changed.stack.kubernetes("service", "kong-proxy", "-n", "kong")["spec"]["ports"]
        (port,) = (port["nodePort"] for port in ports if port["port"] == 80)
        asked = (
            f"PROXY TCP4 {client} {NODE} 4711 80\r\nGET {path} HTTP/1.1\r\nHost: {NODE}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection((NODE, port), timeout=PATIENCE) as raw, raw.makefile("rb") as answer:
            raw.sendall(asked.encode())
            return answer.readline().split()[1:2] == [str(status).encode()]

    return check


def answers_holder(path: str, key: ec.EllipticCurvePrivateKey, status: int, says: str) -> Check:
    """Somebody with a token in Alice's name, which some key has signed, is answered so."""

    def check(changed: Configured) -> bool:
        now = token("alice", key, "ES256")  # for a minute
        return answers(path, status, says=says, Authorization=now)(changed)

    return check


def takes(path: str, size: int, status: int) -> Check:
    """A body with so many letters in it is answered so."""
    return lambda changed: changed.post(path, "x" * size).status_code == status


def answers_preflight(path: str) -> Check:
    """Checks that a preflight request of the shop's origin succeeds without a credential."""
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    told = {"Origin": "https://shop.example", "Methods": "GET,POST"}

    def check(changed: Configured) -> bool:
        answer = httpx.options(f"http://{changed.address}{path}", headers=asked, timeout=PATIENCE)
        headers = {name: answer.headers.get(f"Access-Control-Allow-{name}") for name in told}
        return answer.status_code == 200 and headers == told and answer.headers["Access-Control-Max-Age"] == "3600"

    return check


def is_logged(path: str) -> Check:
    """A request for it is a line of JSON in Kong's log."""
    ours = uuid4().hex
    logs = ("kubectl", "logs", "-n", "kong", "deployment/kong", "-c", "proxy", "--tail=200")

    def check(changed: Configured) -> bool:
        changed.get(path, **{"X-Request-ID": ours})
        lines = changed.stack.run(*logs).stdout.splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{") and ours in line]
        return any(entry["response"]["status"] == 200 for entry in entries)

    return check


def is_counted(path: str, service: str) -> Check:
    """A request for it is counted as one of the service's."""

    def check(changed: Configured) -> bool:
        changed.get(path)
        lines = changed.stack.kong(8100, "/metrics").stdout.splitlines()
        counters = [line for line in lines if line.startswith("kong_http_requests_total{")]
        return any(service in line and 'code="200"' in line for line in counters)

    return check


# How many pixels of the page are out of sight to the right, its colours, and its text.
_LAYOUT = """(() => {
  const page = document.querySelector("iframe").contentDocument;
  const root = page.documentElement;
  const colours = getComputedStyle(page.body);
  const seen = [...page.querySelectorAll("main, footer")].map(part => part.innerText).join("\\n");
  return [root.scrollWidth - root.clientWidth, colours.backgroundColor, colours.color, seen];
})()"""


def fits_any_screen(path: str) -> Check:
    """A browser shows the page without a horizontal scrollbar on a phone and on a desk, by day and by night."""

    def check(changed: Configured) -> bool:
        html = changed.get(path).text
        shown = {
            (width, scheme): evaluated(framed(html, width), _LAYOUT, f"--blink-settings=preferredColorScheme={scheme}")
            for width in (320, 720)
            for scheme in (0, 1)
        }
        assert {found[0] for found in shown.values()} == {0}
        colours = {scheme: tuple(shown[720, scheme][1:3]) for scheme in (0, 1)}
        assert colours == {0: ("rgb(17, 24, 39)", "rgb(229, 231, 235)"), 1: ("rgb(255, 255, 255)", "rgb(31, 41, 55)")}
        return all(text in found[3] for found in shown.values() for text in ("/foo", "/bar", "healthy", "Kong"))

    return check


TOOLS = "tools"
# Prints what is posted to it.
_COLLECT = """
import http.server, threading

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(self.path, body.decode("latin-1"), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

for port in (9000, 4318):
    threading.Thread(target=http.server.ThreadingHTTPServer(("", port), Collector).serve_forever).start()
"""


@contextmanager
def collectors(stack: Stack) -> Iterator[None]:
    """One pod where the example has a collector of logs and one of traces."""
    stack.run("kubectl", "create", "namespace", TOOLS)
    try:
        collector = inside.pod("collector", "python", "-c", _COLLECT)
        collector["metadata"]["labels"] = {"app": "collector"}
        services = [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": {"app": "collector"}, "ports": [{"port": port}]},
            }
            for name, port in (("logs", 9000), ("otel-collector", 4318))
        ]
        for server in (collector, *services):
            made = inside.create(stack, TOOLS, server)
            assert made.returncode == 0, made.stderr
        stack.run("kubectl", "wait", "-n", TOOLS, "pod/collector", "--for=condition=Ready", "--timeout=180s")
        yield
    finally:
        stack.run("kubectl", "delete", "namespace", TOOLS)


def is_collected(path: str, *posted: str) -> Check:
    """Checks that the collectors get the entries of requests for a path."""

    def check(changed: Configured) -> bool:
        for _ in range(20):  # one of ten is traced
            changed.get(path)
        log = changed.stack.run("kubectl", "logs", "-n", TOOLS, "collector").stdout
        return all(entry in log for entry in posted)

    return check


def reaches(version: str, asked: range, **sent: str) -> Check:
    """Checks how many of a hundred requests for foo reach a version, by its log."""

    def check(changed: Configured) -> bool:
        marked = f"/foo?{uuid4().hex}"
        with httpx.Client(headers=sent, timeout=PATIENCE) as client:
            for _ in range(100):
                client.get(f"http://{changed.address}{marked}").raise_for_status()
        logs = ("kubectl", "logs", f"deployment/{version}-deployment", "--tail=300")
        return changed.stack.run(*logs).stdout.count(f"GET {marked} ") in asked

    return check


def is_there(kind: str, name: str, part: str, namespace: str = "default") -> Check:
    """An object of the cluster has this in it."""
    return lambda changed: part in json.dumps(changed.stack.kubernetes(kind, name, "-n", namespace))


def runs_on(app: str, pool: str) -> Check:
    """All pods of an app are on nodes of a pool."""

    def check(changed: Configured) -> bool:
        selector = f"doks.digitalocean.com/node-pool={pool}"
        nodes = {
            node["metadata"]["name"] for node in changed.stack.kubernetes("nodes", f"--selector={selector}")["items"]
        }
        pods = changed.stack.kubernetes("pods", f"--selector=app={app}")["items"]
        return bool(pods) and {pod["spec"].get("nodeName") for pod in pods} <= nodes

    return check


FOO, BAR = (f"Hello from the {name} microservice" for name in ("foo", "bar"))
NONE, ALL = range(1), range(100, 101)
ALICES_KEY, MALLORYS_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

CHECKS: dict[str, list[Check]] = {
    "addresses": [
        answers("/foo", 403, says="IP address not allowed"),
        answers("/bar", says=BAR),
        answers_to("198.51.100.7", "/foo", 200),
        answers_to("10.1.2.3", "/foo", 200),
        answers_to("203.0.113.7", "/foo", 403),
        answers_to("203.0.113.7", "/bar", 403),
        answers_to("198.51.100.7", "/bar", 200),
    ],
    "aggregation": [
        answers("/overview", header="X-RateLimit-Limit-Minute: 60", says=FOO),
        answers("/overview", says='"complete":true'),
        answers_to("203.0.113.7", "/overview", 403),
        answers_to("203.0.113.7", "/foo", 403),
        answers("/bar", says=BAR),
    ],
    "auth": [
        answers("/foo", 401, "WWW-Authenticate: Bearer"),
        answers_holder("/foo", ALICES_KEY, 200, FOO),
        answers_holder("/foo", MALLORYS_KEY, 401, "Invalid signature"),
        answers("/bar", says=BAR),
    ],
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
        answers_holder("/foo", ALICES_KEY, 200, FOO),
        answers_preflight("/foo"),
        answers_to("203.0.113.7", "/greeting", 403),
        answers("/greeting", header="X-Frame-Options: DENY", says=BAR),
        answers("/greeting", header="Cache-Control: no-store", says='"api":"v1"'),
        answers("/greeting", header="X-RateLimit-Limit-Second: 50"),
        answers("/greeting", 503, says="Back at noon", **{"X-Preview": "always"}),
        answers("/greeter.Greeter/Greet", 415),
        answers("/overview", 401, "WWW-Authenticate: Bearer"),
        answers_holder("/overview", ALICES_KEY, 200, '"complete":true'),
        is_there("ingress", "bar", "bar-blue-service"),
        is_there("httproute", "foo", '"name": "foo-canary-'),
    ],
    # Requests that aren't gRPC.
    "grpc": [answers("/greeter.Greeter/Greet", 415), answers("/foo", says=FOO)],
    "network": [
        answers("/foo", says=FOO),
        answers("/bar", says=BAR),
        is_there("networkpolicy", "foo", "10.108.0.0/20"),
        is_there("networkpolicy", "bar", '"kubernetes.io/metadata.name": "jobs"'),
    ],
    "node-pools": [
        answers("/foo", says=FOO),
        answers("/bar", says=BAR),
        runs_on("foo", "mycluster-default-pool"),
        runs_on("bar", "batch-s-2vcpu-4gb"),
        is_there("nodes", "--selector=tier=batch", '"key": "batch"'),
    ],
    "observability": [
        answers("/foo", header="X-Request-ID", says=FOO),
        answers("/bar", header="X-Request-ID"),
        is_logged("/foo"),
        is_counted("/foo", "foo-service"),
        is_collected("/foo?collected", "/kong {", '"/foo?collected"', "/v1/traces "),
        is_there("deployment", "foo-deployment", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ],
    "page": [
        answers("/", header="X-RateLimit-Limit-Minute: 60", says="rateLimit: minute 60"),
        answers_to("203.0.113.7", "/", 403),
        answers_to("203.0.113.7", "/bar", 200),
        fits_any_screen("/"),
    ],
    "plugins": [answers("/foo", header="X-Order-ID: #", says=FOO), answers("/bar", says=BAR)],
    "protection": [
        answers("/foo", header="Content-Security-Policy: default-src 'none'", says=FOO),
        answers("/foo", 403, **{"User-Agent": "Googlebot/2.1"}),
        takes("/foo", 1000, 405),  # the service's own word
        takes("/foo", 2**20, 413),
        answers("/foo", header="Access-Control-Allow-Origin: https://shop.example", Origin="https://shop.example"),
        answers_preflight("/foo"),
        # Foo is never so slow; that Kong heeds these, test_policies.py has.
        is_there("service", "foo-service", '"konghq.com/connect-timeout": "2000"'),
        is_there("service", "foo-service", '"konghq.com/read-timeout": "10000"'),
        is_there("service", "foo-service", '"konghq.com/write-timeout": "10000"'),
        is_there("service", "foo-service", '"konghq.com/retries": "2"'),
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

AROUND: dict[str, Callable[[Stack], AbstractContextManager[None]]] = {"observability": collectors}
"""The preparation that an example needs beside the stack."""
# test_autoscaling.py; test_monitoring.py: its Grafana can't be had here.
ELSEWHERE = {"autoscale", "monitoring"}


@pytest.fixture(scope="module")
def changed(stack: Stack) -> Iterator[Configured]:
    images.publish(print, [images.valkey()])
    with configured(stack) as changed:
        yield changed


@pytest.mark.parametrize("name", sorted({path.stem for path in (PROJECT / "examples").glob("*.yaml")} - ELSEWHERE))
def test_an_example_works_as_described(changed: Configured, name: str) -> None:
    ours = stack_file(changed.file)
    repositories = ("chartRepository", "certManagerChartRepository", "gatewayApiReleases")
    addresses = ("digitalocean:apiEndpoint", "protect", *repositories)
    example: dict[str, Any] = yaml.safe_load((PROJECT / "examples" / f"{name}.yaml").read_text())["config"]
    example |= {key: ours["config"][key] for key in addresses}
    for consumer in example.get("consumers", []):
        consumer["jwt"]["publicKey"] = public(ALICES_KEY)
    changed.file.write_text(yaml.safe_dump(ours | {"config": example}))
    if "domain" in example:
        sandbox_command("certificates")
    with AROUND[name](changed.stack) if name in AROUND else nullcontext():
        changed.stack.up()
        for check in CHECKS[name]:
            eventually(partial(check, changed))
