"""One answer from several services, one trace through all of them, one limit over several gateways."""

import base64
import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sandbox.images import catalog as images
from tests.e2e.configured import Configured, configured
from tests.e2e.stack import Stack
from tests.support import PATIENCE, eventually

# A collector that lists the spans it received, and a backend of the aggregate that can be slow.
COLLECTOR = """
import base64
import time

from flask import Flask, Response, jsonify, request

app = Flask(__name__)
got: list[str] = []


@app.post("/v1/traces")
def take() -> str:
    got.append(base64.b64encode(request.get_data()).decode())
    return ""


@app.get("/collected")
def collected() -> Response:
    return jsonify(got)


@app.get("/slow")
def slow() -> Response:
    time.sleep(float(request.args.get("seconds", 0)))
    return jsonify(tenant=request.headers.get("X-Tenant"), secret=request.headers.get("Authorization"))


@app.get("/healthz")
def healthz() -> str:
    return ""
"""
LIMIT = 12
SERVICES: list[dict[str, Any]] = [
    {"name": "foo", "path": "/foo", "build": "apps/foo"},
    {
        "name": "bar",
        "path": "/bar",
        "build": "apps/bar",
        "rateLimit": {"hour": LIMIT, "by": "header", "header": "X-Tenant"},
    },
    {
        "name": "collector",
        "path": "/collected",
        "build": "apps/collector",
        "tracing": False,
        "ingress": {"namespaces": ["default"]},
    },
]
OVERVIEW = {
    "name": "overview",
    "path": "/overview",
    "backends": {"foo": "/foo", "bar": "/bar", "collector": {"path": "/slow", "timeout": 3}},
    "headers": ["X-Tenant"],
}
pytestmark = pytest.mark.soak
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def busy(stack: Stack) -> Iterator[Configured]:
    """Two gateways, a collector of traces, and an aggregate of three services."""
    images.publish(print, [images.valkey()])
    collector = stack.folder / "apps" / "collector"
    shutil.copytree(stack.folder / "apps" / "foo", collector)
    (collector / "app.py").write_text(COLLECTOR)
    with configured(stack) as changed:
        url = "http://collector-service.default:5000/v1/traces"
        changed.set("gateway", {"replicas": 2, "accessLog": True, "rateLimit": {"hour": 5000}, "tracing": {"url": url}})
        changed.set("aggregates", [OVERVIEW])
        changed.up(*SERVICES)
        eventually(lambda: changed.get("/overview").status_code == 200)
        yield changed
    shutil.rmtree(collector)


def test_an_aggregate_combines_several_services(busy: Configured) -> None:
    answer = busy.get("/overview", **{"X-Tenant": "ours", "Authorization": "Bearer nobody-has-checked"})
    assert answer.json() == {
        "complete": True,
        "errors": {},
        "results": {
            "foo": {"msg": "Hello from the foo microservice"},
            "bar": {"msg": "Hello from the bar microservice"},
            "collector": {"tenant": "ours", "secret": None},
        },
    }


def test_a_slow_service_is_missing_from_the_aggregate(busy: Configured) -> None:
    answer = busy.get("/overview?seconds=10")
    assert answer.status_code == 200
    assert answer.json()["complete"] is False
    assert set(answer.json()["results"]) == {"foo", "bar"}
    assert answer.json()["errors"] == {"collector": {"status": 504, "message": "no answer within 3 s"}}


def spans(busy: Configured) -> list[tuple[str, Span]]:
    """Everything that the collector has got: spans, each with the name of what reports it."""
    collected = []
    for text in busy.get("/collected").json():
        for one in ExportTraceServiceRequest.FromString(base64.b64decode(text)).resource_spans:
            name = next(
                attribute.value.string_value for attribute in one.resource.attributes if attribute.key == "service.name"
            )
            collected += [(name, span) for scope in one.scope_spans for span in scope.spans]
    return collected


def test_a_trace_spans_client_gateway_and_services(busy: Configured) -> None:
    busy.get("/overview", traceparent=f"00-{TRACE}-{PARENT}-01")

    def ours() -> dict[tuple[str, int], Span]:
        kept = [(name, span) for name, span in spans(busy) if span.trace_id.hex() == TRACE]
        return {(name, span.kind): span for name, span in kept}

    last = ("foo", Span.SPAN_KIND_SERVER), ("bar", Span.SPAN_KIND_SERVER), ("overview", Span.SPAN_KIND_SERVER)
    eventually(lambda: {("kong", Span.SPAN_KIND_SERVER), *last} <= set(ours()))
    by_id = {span.span_id: (name, span) for name, span in spans(busy)}
    for name in ("foo", "bar"):
        span, way = ours()[name, Span.SPAN_KIND_SERVER], [name]
        while span.parent_span_id.hex() != PARENT:
            said, span = by_id[span.parent_span_id]
            way.append(said)
        assert way == [name, "overview", "overview", "kong", "kong"], "each as a server, and a client of the next"
    # Requests that bypass the gateway, such as probes, aren't traced.
    assert {name for name, _ in spans(busy)} == {"kong", "overview", "foo", "bar"}
    assert all(span.parent_span_id for name, span in spans(busy) if name != "kong")


def kongs(busy: Configured) -> list[str]:
    pods = busy.stack.kubernetes("pods", "-n", "kong", "-l", "app=kong")["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def test_replicas_of_kong_share_a_rate_limit(busy: Configured) -> None:
    if time.time() % 3600 > 3570:
        time.sleep(31)  # an hour ends
    with httpx.Client(timeout=PATIENCE, headers={"Connection": "close", "X-Tenant": "many"}) as client:
        statuses = [client.get(f"http://{busy.address}/bar").status_code for _ in range(3 * LIMIT)]
    assert statuses == [200] * LIMIT + [429] * 2 * LIMIT

    def answered(pod: str) -> int:
        lines = busy.stack.run("kubectl", "logs", "-n", "kong", pod, "-c", "proxy").stdout.splitlines()
        return sum(json.loads(line)["request"]["uri"] == "/bar" for line in lines if line.startswith("{"))

    everybody = busy.get("/foo").headers
    assert everybody["X-RateLimit-Limit-Hour"] == "5000", "the gateway's own limit is counted there, too"
    first, second = kongs(busy)
    eventually(lambda: answered(first) + answered(second) >= 3 * LIMIT)
    assert min(answered(first), answered(second)) > LIMIT / 2, "both had their share"


def test_a_service_reaches_no_rate_limit_store_and_its_password_is_not_exposed(busy: Configured) -> None:
    ask = "import socket; socket.create_connection(('rate-limits.kong.svc', 6379), 5)"
    said = busy.stack.run("kubectl", "exec", "deployment/foo-deployment", "--", "python", "-c", ask, check=False)
    assert "TimeoutError" in said.stderr
    secret = busy.stack.kubernetes("secret", "-n", "kong", "kong-doks-rate-limits")["data"]["password"]
    password = json.loads(base64.b64decode(secret))
    plugin = busy.stack.run("kubectl", "get", "kongplugins,deployments,pods", "-A", "-o", "json").stdout
    state = busy.stack.pulumi("stack", "export").stdout
    assert len(password) == 64
    for place in (plugin, state):
        assert password not in place
        assert secret not in place


def test_requests_pass_while_the_rate_limit_store_is_down(busy: Configured) -> None:
    def scale(replicas: int) -> None:
        busy.stack.run("kubectl", "scale", "-n", "kong", "deployment/rate-limits", f"--replicas={replicas}")

    scale(0)
    eventually(lambda: "X-RateLimit-Limit-Hour" not in busy.get("/bar").headers)
    assert busy.get("/bar").status_code == 200
    scale(1)
    eventually(lambda: "X-RateLimit-Limit-Hour" in busy.get("/bar").headers)


def test_a_second_up_keeps_the_stores_password(busy: Configured) -> None:
    steps = json.loads(busy.stack.pulumi("preview", "--json", "--show-sames").stdout)["steps"]
    assert {step["op"] for step in steps if step["urn"].endswith("::rate-limits")} == {"same"}
