"""The proxy stand-in logs, counts and traces as Kong's plugins document."""

import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sandbox.toolchain.build import tool
from tests.standins.gateway import Gateway, route, running, served, service
from tests.support import PATIENCE, eventually, free_port

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")

Delivery = tuple[str, dict[str, str], Any]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"tracing_instrumentations": "all", "tracing_sampling_rate": "1"}
    with running(tmp_path_factory.mktemp("kong"), **settings) as gateway:
        yield gateway


def collector(deliveries: "Queue[Delivery]", *statuses: int) -> type[http.server.BaseHTTPRequestHandler]:
    """Takes what it is sent; its first answers have `statuses`, all others 200."""
    left = list(statuses)

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            read = ExportTraceServiceRequest.FromString if "protobuf" in self.headers["Content-Type"] else json.loads
            deliveries.put((self.path, dict(self.headers), read(body)))  # before the answer, after which the next comes
            self.send_response(left.pop(0) if left else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    return Collector


def plugin(name: str, config: dict[str, Any] | None = None, **to: str) -> dict[str, Any]:
    return {"name": name, "config": config or {}, **to}


def test_correlation_id_counts_and_keeps_existing_ids(gateway: Gateway, echo: int) -> None:
    gateway.configure(service(echo, route(paths=["/"])), plugins=[plugin("correlation-id", {"echo_downstream": True})])
    answers = [gateway.client.get("/") for _ in range(2)]
    first, second = (answer.headers["kong-request-id"] for answer in answers)
    assert [answer.json()["headers"]["Kong-Request-Id"] for answer in answers] == [first, second]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}#1", first)
    assert second == first.removesuffix("1") + "2"
    own = gateway.client.get("/", headers={"Kong-Request-ID": "mine"})
    assert (own.json()["headers"]["Kong-Request-Id"], own.headers["kong-request-id"]) == ("mine", "mine")
    assert gateway.client.get("/").headers["kong-request-id"].endswith("#3")


def line_of(log: Path, request_id: str) -> dict[str, Any]:
    """The JSON line about one request."""

    def find() -> dict[str, Any] | None:
        written = log.read_text() if log.exists() else ""
        whole = written.rpartition("\n")[0]  # not what is being written
        lines = [line for line in whole.splitlines() if line.startswith("{") and request_id in line]
        return json.loads(lines[0]) if lines else None

    return eventually(find, pause=0.01)


def test_a_log_entry_has_all_fields_of_a_request(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(paths=["/foo"], strip_path=True)),
        consumers=[{"username": "alice", "keyauth_credentials": [{"key": "k"}]}],
        plugins=[
            plugin("key-auth"),
            plugin("correlation-id", {"header_name": "X-Request-ID", "generator": "uuid", "echo_downstream": True}),
            plugin("file-log", {"path": "/dev/stdout"}),
        ],
    )
    headers = {"apikey": "k", "Authorization": "Bearer secret", "X-Request-ID": "client-1"}
    answer = gateway.client.get("/foo/x?a=1&b=2&b=3", headers=headers)
    line = line_of(gateway.log, answer.headers["x-kong-request-id"])
    assert answer.headers["x-request-id"] == "client-1"
    assert line["request"] | {"url": ""} == {
        "id": answer.headers["x-kong-request-id"],
        "method": "GET",
        "uri": "/foo/x?a=1&b=2&b=3",
        "url": "",
        "size": 0,
        "querystring": {"a": "1", "b": ["2", "3"]},
        "headers": line["request"]["headers"],
    }
    assert line["request"]["url"] == "http://127.0.0.1:80/foo/x?a=1&b=2&b=3"
    told = line["request"]["headers"]
    assert (told["x-request-id"], told["authorization"]) == ("client-1", "REDACTED")
    assert (line["response"]["status"], line["response"]["headers"]["x-request-id"]) == (200, "client-1")
    assert (line["upstream_uri"], line["upstream_status"], line["source"]) == ("/x?a=1&b=2&b=3", "200", "upstream")
    assert (line["client_ip"], line["consumer"]["username"]) == ("127.0.0.1", "alice")
    assert (line["service"]["name"], line["route"]["name"]) == ("default.foo.80", "default.foo.foo..80")
    assert [(one["ip"], one["port"]) for one in line["tries"]] == [("127.0.0.1", echo)]
    assert set(line["latencies"]) == {"request", "kong", "proxy"}
    refused = gateway.client.get("/foo")
    line = line_of(gateway.log, refused.headers["x-kong-request-id"])
    assert (line["response"]["status"], line["source"], line["tries"], line["latencies"]["proxy"]) == (
        401,
        "kong",
        [],
        -1,
    )


def test_a_request_without_a_route_is_logged_by_the_global_plugin_only(
    gateway: Gateway, echo: int, tmp_path: Path
) -> None:
    every, one = tmp_path / "every", tmp_path / "one"
    gateway.configure(
        service(echo, route(name="r", paths=["/x"])),
        plugins=[plugin("file-log", {"path": str(every)}), plugin("file-log", {"path": str(one)}, route="r")],
    )
    nowhere = gateway.client.get("/nowhere").headers["x-kong-request-id"]
    somewhere = gateway.client.get("/x").headers["x-kong-request-id"]
    lost = line_of(every, nowhere)
    assert (lost["response"]["status"], "route" in lost, "service" in lost) == (404, False, False)
    assert line_of(one, somewhere)["route"]["name"] == "r"
    assert (somewhere in every.read_text(), nowhere in one.read_text()) == (False, False)


def test_http_log_retries_and_keeps_the_order(gateway: Gateway, echo: int) -> None:
    deliveries: Queue[Delivery] = Queue()
    with served(collector(deliveries, 500, 503)) as port:
        config = {"http_endpoint": f"http://127.0.0.1:{port}/logs"}
        gateway.configure(service(echo, route(paths=["/"])), plugins=[plugin("http-log", config)])
        asked = [gateway.client.get(f"/{n}").headers["x-kong-request-id"] for n in range(3)]
        got = [deliveries.get(timeout=PATIENCE) for _ in range(5)]
    assert [body["request"]["id"] for _, _, body in got] == [asked[0]] * 3 + asked[1:]
    path, headers, _ = got[0]
    assert (path, headers["Content-Type"]) == ("/logs", "application/json")


def samples(gateway: Gateway) -> dict[str, float]:
    text = gateway.status.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(kong_\S+?(?:{.*})?) (\S+)$", text, re.MULTILINE)}


def test_prometheus_counts_by_service_route_and_code(tmp_path: Path, echo: int) -> None:
    with running(tmp_path) as gateway:
        gateway.configure(
            service(echo, route(name="r", paths=["/r"]), name="s"),
            consumers=[{"username": "alice", "keyauth_credentials": [{"key": "k"}]}],
            plugins=[
                plugin("key-auth"),
                plugin(
                    "prometheus",
                    {f"{kind}_metrics": True for kind in ("status_code", "latency", "bandwidth", "upstream_health")},
                ),
            ],
            upstreams=[{"name": "u", "targets": [{"target": f"127.0.0.1:{echo}"}]}],
        )
        sizes = [len(gateway.client.get("/r", headers={"apikey": "k"}).content) for _ in range(2)]
        gateway.client.get("/r")
        gateway.client.get("/nowhere")
        at = 'service="s",route="r"'
        refused = f'kong_http_requests_total{{{at},code="401",source="kong",workspace="default",consumer=""}}'
        exposed = eventually(lambda: seen if refused in (seen := samples(gateway)) else None, pause=0.01)
        passed = f'kong_http_requests_total{{{at},code="200",source="service",workspace="default",consumer=""}}'
        assert (exposed[refused], exposed[passed]) == (1, 2)
        assert sum(value for name, value in exposed.items() if name.startswith("kong_http_requests_total")) == 3
        sent = f'kong_bandwidth_bytes{{{at},direction="egress",workspace="default",consumer=""}}'
        assert exposed[sent] > sum(sizes), "and the 401"
        for metric, count in (("request", 3), ("kong", 3), ("upstream", 2)):
            name = f"kong_{metric}_latency_ms"
            assert exposed[f'{name}_count{{{at},workspace="default"}}'] == count
            assert exposed[f'{name}_bucket{{{at},workspace="default",le="+Inf"}}'] == count
            last = {"request": 60000, "kong": 6000, "upstream": 60000}[metric]
            assert exposed[f'{name}_bucket{{{at},workspace="default",le="{last}"}}'] == count
        target = f'upstream="u",target="127.0.0.1:{echo}",address="127.0.0.1:{echo}"'
        state = {name: value for name, value in exposed.items() if name.startswith("kong_upstream_target_health")}
        assert {name for name, value in state.items() if value} == {
            f'kong_upstream_target_health{{{target},state="healthchecks_off",subsystem="http"}}'
        }
        assert exposed["kong_datastore_reachable"] == 1
        assert "# TYPE kong_request_latency_ms histogram" in gateway.status.get("/metrics").text


def test_metrics_are_off_by_default(tmp_path: Path, echo: int) -> None:
    alice = {"username": "alice", "keyauth_credentials": [{"key": "k"}]}
    with running(tmp_path) as gateway:
        for config in ({}, {"status_code_metrics": True}):
            plugins = [plugin("key-auth"), plugin("prometheus", config)]
            gateway.configure(service(echo, route(paths=["/"])), consumers=[alice], plugins=plugins)
            gateway.client.get("/", headers={"apikey": "k"})
        at = 'service="default.foo.80",route="default.foo.foo..80"'
        counted = f'kong_http_requests_total{{{at},code="200",source="service",workspace="default",consumer=""}}'
        exposed = eventually(lambda: seen if counted in (seen := samples(gateway)) else None, pause=0.01)
        assert exposed[counted] == 1, "of the second request, without its consumer"
        assert not [name for name in exposed if name.startswith(("kong_bandwidth", "kong_request", "kong_upstream"))]


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def traced(gateway: Gateway, port: int, at: int, **config: Any) -> None:  # noqa: ANN401 -- JSON
    """Has the gateway report its part of every trace to `port`."""
    endpoint = {"traces_endpoint": f"http://127.0.0.1:{port}/v1/traces"}
    gateway.configure(
        service(at, route(paths=["/"])), plugins=[plugin("opentelemetry", {**endpoint, "sampling_rate": 1} | config)]
    )


def spans(deliveries: "Queue[Delivery]", count: int) -> dict[str, Span]:
    """The next spans, by name."""
    by_name: dict[str, Span] = {}
    while len(by_name) < count:
        request = deliveries.get(timeout=PATIENCE)[2]
        by_name |= {one.name: one for one in request.resource_spans[0].scope_spans[0].spans}
    return by_name


def told(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 -- protobuf
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_a_trace_is_propagated_to_the_service(gateway: Gateway, echo: int) -> None:
    deliveries: Queue[Delivery] = Queue()
    with served(collector(deliveries)) as port:
        attributes = {"service.name": "gateway", "deployment.environment": "test"}
        traced(gateway, port, echo, resource_attributes=attributes)
        answer = gateway.client.get("/x", headers={"Traceparent": f"00-{TRACE}-{PARENT}-01", "Tracestate": "a=b"})
        path, headers, request = deliveries.get(timeout=PATIENCE)
        by_name = {one.name: one for one in request.resource_spans[0].scope_spans[0].spans}
        by_name |= spans(deliveries, 2 - len(by_name))
    assert (path, headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
    assert attributes.items() <= told(request.resource_spans[0].resource.attributes).items()
    root, balancer = by_name["kong"], by_name["kong.balancer"]
    assert {one.trace_id.hex() for one in by_name.values()} == {TRACE}
    assert (root.parent_span_id.hex(), balancer.parent_span_id) == (PARENT, root.span_id)
    assert (root.kind, balancer.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert root.start_time_unix_nano <= balancer.start_time_unix_nano <= balancer.end_time_unix_nano
    expected = {"http.method": "GET", "http.status_code": 200, "http.route": "/", "http.client_ip": "127.0.0.1"}
    assert expected.items() <= told(root.attributes).items()
    asked = answer.json()["headers"]
    assert (asked["Traceparent"], asked["Tracestate"]) == (f"00-{TRACE}-{balancer.span_id.hex()}-01", "a=b")


def test_a_new_trace_is_started_and_records_failures(gateway: Gateway) -> None:
    deliveries: Queue[Delivery] = Queue()
    with served(collector(deliveries)) as port:
        dead = free_port()
        traced(gateway, port, dead)
        assert gateway.client.get("/").status_code == 502
        by_name = spans(deliveries, 2)
    root, balancer = by_name["kong"], by_name["kong.balancer"]
    assert (root.parent_span_id, any(root.trace_id)) == (b"", True)
    assert told(balancer.attributes)["try_count"] == 6
    assert (root.status.code, balancer.status.code) == (2, 2)


def test_an_unsampled_trace_is_propagated_and_not_exported(gateway: Gateway, echo: int) -> None:
    deliveries: Queue[Delivery] = Queue()
    with served(collector(deliveries)) as port:
        traced(gateway, port, echo)
        dropped = gateway.client.get("/", headers={"Traceparent": f"00-{TRACE}-{PARENT}-00"}).json()["headers"]
        traced(gateway, port, echo, sampling_rate=0)
        unlucky = gateway.client.get("/").json()["headers"]
        traced(gateway, port, echo)
        ignored = gateway.client.get("/", headers={"Traceparent": "the client's own"}).json()["headers"]
        reported = spans(deliveries, 2)
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", dropped["Traceparent"])
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", unlucky["Traceparent"])
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", ignored["Traceparent"]), "a trace of its own all the same"
    assert reported["kong"].trace_id.hex() != TRACE, "only the last is reported"
    assert deliveries.empty()


def test_without_instrumentation_nothing_is_exported(tmp_path: Path, echo: int) -> None:
    deliveries: Queue[Delivery] = Queue()
    with running(tmp_path) as gateway, served(collector(deliveries)) as port:
        traced(gateway, port, echo)
        headers = gateway.client.get("/").json()["headers"]
        threading.Event().wait(0.2)
    assert headers["Traceparent"].endswith("-00")
    assert deliveries.empty()
