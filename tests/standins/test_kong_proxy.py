"""The stand-in for Kong's proxy responds, routes and refuses as Kong does."""

import http.server
import itertools
import re
import signal
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.host.certificate_authority import Authority
from sandbox.toolchain.build import tool
from tests.standins.gateway import TAGS, Echo, Gateway, route, running, served, service
from tests.support import PATIENCE, eventually, free_port

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")


def test_readiness_begins_with_the_first_configuration(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        assert gateway.admin.get("/status").json()["configuration_hash"] == "0" * 32
        before = gateway.status.get("/status/ready")
        gateway.configure(upstreams=[{"name": "kong"}])
        assert (before.status_code, gateway.status.get("/status/ready").status_code) == (503, 200)
        assert re.fullmatch("(?!0{32})[0-9a-f]{32}", gateway.admin.get("/status").json()["configuration_hash"])


def test_the_admin_api_has_the_fields_that_the_controller_reads(gateway: Gateway) -> None:
    root = gateway.admin.get("/").json()
    assert root["version"] == "3.9.3"
    configuration = root["configuration"]
    assert (configuration["database"], configuration["router_flavor"]) == ("off", "traditional")
    listeners = {
        listener["port"]: (listener["ip"], listener["ssl"], listener["http2"])
        for listener in configuration["proxy_listeners"]
    }
    assert listeners == {gateway.port: ("127.0.0.1", False, False), gateway.tls_port: ("127.0.0.1", True, True)}
    assert gateway.admin.get("/nothing").json() == {"message": "Not found"}


def test_an_unchanged_configuration_is_not_applied_again(gateway: Gateway, echo: int) -> None:
    config = {"services": [service(echo, route(paths=["/same"]))]}
    assert [gateway.post(config).status_code for _ in range(2)] == [201, 304]


def test_an_unknown_path_gets_kongs_404(gateway: Gateway) -> None:
    gateway.configure(upstreams=[{"name": "kong"}])
    answer = gateway.client.get("/nowhere", headers={"Accept": "*/*"})
    request_id = answer.headers["x-kong-request-id"]
    assert answer.status_code == 404
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert answer.text == f'{{\n  "message":"no Route matched with those values",\n  "request_id":"{request_id}"\n}}'
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["server"] == "kong/3.9.3"
    assert gateway.client.get("/", headers={"Accept": "text/plain"}).text.startswith(
        "no Route matched with those values\n"
    )


def test_paths_match_by_prefix_or_regex_and_strip_path(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(
            echo,
            route(paths=["/foo/", "~/foo$"], strip_path=True),
            route(name="kept", paths=["/kept"]),
        )
    )
    seen = {path: gateway.client.get(path).json()["path"] for path in ("/foo", "/foo/", "/foo/a%2Fb?x=1", "/kept/a?")}
    assert seen == {"/foo": "/", "/foo/": "/", "/foo/a%2Fb?x=1": "/a%2Fb?x=1", "/kept/a?": "/kept/a?"}
    assert gateway.client.get("/foobar").status_code == 404


def test_an_encoded_path_is_normalized_before_routing(gateway: Gateway, echo: int) -> None:
    gateway.configure(service(echo, route(paths=["/open"]), route(name="b", paths=["/shut"], headers={"x-key": ["k"]})))
    for disguise in (b"/open/../shut", b"/%73hut", b"//shut", b"/open/%2e%2e/shut"):
        with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
            raw.sendall(b"GET " + disguise + b" HTTP/1.0\r\nHost: x\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.0 404"), disguise


def test_the_more_specific_route_wins_whatever_the_order(gateway: Gateway, echo: int) -> None:
    routes = [
        route(name="any", paths=["/"]),
        route(name="prefix", paths=["/a"]),
        route(name="longer", paths=["/a/b"]),
        route(name="pattern", paths=["~/a/b/c$"]),
        route(name="header", paths=["/a"], headers={"x-canary": ["true"]}),
        route(name="wildcard", paths=["/"], hosts=["*.example.com"]),
        route(name="host", paths=["/"], hosts=["api.example.com"]),
    ]
    for order in itertools.islice(itertools.permutations(routes), 0, None, 700):
        gateway.configure(*(service(echo, one, name=one["name"], path=f"/{one['name']}") for one in order))

        def reached(path: str, **headers: str) -> str:
            answer = gateway.client.get(path, headers={"Accept": "*/*", **headers})
            seen: str = answer.json()["path"]
            return seen.split("/")[1]

        assert reached("/x") == "any"
        assert reached("/ab") == "prefix"
        assert reached("/a/b/d") == "longer"
        assert reached("/a/b/c") == "pattern"
        assert reached("/a/b/c", **{"X-Canary": "TRUE"}) == "header"
        assert reached("/a/b/c", Host="www.example.com") == "wildcard"
        assert reached("/a/b/c", Host="api.example.com:8000") == "host"
        assert reached("/a/b/c", Host="API.example.com") == "wildcard", "Kong compares what the client wrote"


def test_forwarded_headers_use_the_first_line_and_responses_get_via(gateway: Gateway) -> None:
    class Hop(Echo):
        def answer(self, body: bytes) -> bytes:
            self.send_response(200)
            self.send_header("Via", "1.1 cache")
            self.send_header("Content-Type", "text/plain")
            self.send_header("X-Accel-Expires", "9")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return body

    with served(Hop) as hop:
        gateway.configure(service(hop, route(paths=["/"])))
        hops = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.8"), ("Via", "1.0 proxy")]
        answer = gateway.client.get("/", headers=[*hops, ("Proxy", "http://evil.test")])
    seen = answer.json()["headers"]
    assert (seen["X-Forwarded-For"], seen["Via"]) == ("203.0.113.9, 127.0.0.1", "1.0 proxy, 1.1 kong/3.9.3")
    assert "Proxy" not in seen
    assert answer.headers["via"] == "1.1 cache, 1.1 kong/3.9.3"
    assert (answer.headers["content-type"], "x-accel-expires" in answer.headers) == ("text/plain; charset=UTF-8", False)


def test_header_sizes_are_limited_as_by_nginx(tmp_path: Path) -> None:
    class Wide(Echo):
        def answer(self, body: bytes) -> bytes:
            self.send_response(200)
            self.send_header("X-Wide", "a" * int(self.headers["X-Size"]))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            return body

    large = {
        "nginx_proxy_large_client_header_buffers": "4 16k",
        "nginx_proxy_proxy_buffer_size": "16k",
        "nginx_proxy_proxy_buffers": "8 16k",
    }
    small_ones = {f"X-{n}": "a" * 7000 for n in range(5)}
    for settings, room in (({}, 8), (large, 16)):
        with served(Wide) as wide, running(tmp_path, **settings) as gateway:
            gateway.configure(service(wide, route(paths=["/"])))

            def asked(path: str = "/", size: int = 1, **headers: str) -> tuple[int, str]:
                answer = gateway.client.get(path, headers={"X-Size": str(size), "Accept": "*/*", **headers})
                return answer.status_code, answer.json().get("message", "")

            assert asked(f"/{'a' * (room * 1000)}", 1) == (200, "")
            assert asked(f"/{'a' * (room * 1024)}", 1) == (414, "URI too long")
            assert asked("/", 1, X_Long="a" * (room * 1024)) == (400, "Request header or cookie too large")
            assert asked("/", 1, **small_ones)[0] == (400 if room == 8 else 200), "all of them together"
            # A service's answer has half the room of a request.
            assert asked("/", room * 1000 // 2 - 300) == (200, "")
            too_wide = asked("/", 5000 if room == 8 else 17000)
            assert too_wide == (502, "An invalid response was received from the upstream server")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("TRACE", [], 405),
        ("get", [], 400),
        ("GET", [("Authorization", "a"), ("Authorization", "b")], 400),
        ("GET", [("Host", "")], 400),
    ],
)
def test_requests_that_nginx_refuses_get_its_error_page(
    gateway: Gateway, echo: int, method: str, headers: list[tuple[str, str]], status: int
) -> None:
    gateway.configure(service(echo, route(paths=["/"])))
    lines = dict(headers) if headers and headers[0][0] == "Host" else {"Host": "x"}
    sent = [f"{method} / HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
    sent += [f"{name}: {value}" for name, value in headers if name != "Host"]
    with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
        raw.sendall("\r\n".join([*sent, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: text/plain; charset=utf-8" in answer, "without Accept"


def test_forwarded_headers_describe_the_client(gateway: Gateway, echo: int) -> None:
    gateway.configure(service(echo, route(paths=["/foo"], strip_path=True, preserve_host=True)))
    answer = gateway.client.get("/foo/x", headers={"Host": "api.example.com", "X-Forwarded-For": "203.0.113.9"})
    headers = answer.json()["headers"]
    told = {name: headers.get(name) for name in ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")}
    told |= {
        name: headers.get(name) for name in ("X-Forwarded-Port", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Real-Ip")
    }
    assert told == {
        "Host": "api.example.com",
        "X-Forwarded-For": "203.0.113.9, 127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "api.example.com",
        "X-Forwarded-Port": "80",
        "X-Forwarded-Path": "/foo/x",
        "X-Forwarded-Prefix": "/foo",
        "X-Real-Ip": "127.0.0.1",
    }
    assert headers["X-Kong-Request-Id"] == answer.headers["x-kong-request-id"]
    assert answer.headers["via"] == "1.1 kong/3.9.3"
    assert {"x-kong-upstream-latency", "x-kong-proxy-latency"} <= set(answer.headers)


def test_an_https_route_refuses_or_redirects_http(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(
            echo,
            route(paths=["/told"], protocols=["https"]),
            route(name="sent", paths=["/sent"], protocols=["https"], https_redirect_status_code=308),
        )
    )
    told = gateway.client.get("/told")
    assert (told.status_code, told.headers["upgrade"]) == (426, "TLS/1.2, HTTP/1.1")
    assert told.json()["message"] == "Please use HTTPS protocol"
    sent = gateway.client.get("/sent/x?y=1", headers={"Host": "api.example.com"})
    assert (sent.status_code, sent.headers["location"]) == (308, "https://api.example.com/sent/x?y=1")
    assert "<title>308 Permanent Redirect</title>" in sent.text, "nginx's own page"
    over_tls = httpx.get(f"https://127.0.0.1:{gateway.tls_port}/told", verify=False, trust_env=False, timeout=PATIENCE)  # noqa: S501
    assert over_tls.json()["headers"]["X-Forwarded-Proto"] == "https"


def test_sni_selects_the_certificate(gateway: Gateway, tmp_path: Path) -> None:
    Authority(tmp_path, "test").server("mine", ["api.example.com"])
    certificate, key = (tmp_path / f"mine.{kind}" for kind in ("crt", "key"))
    gateway.configure(
        certificates=[{"cert": certificate.read_text(), "key": key.read_text(), "snis": [{"name": "*.example.com"}]}]
    )
    for name, known in (("api.example.com", True), ("elsewhere.test", False)):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", gateway.tls_port)) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            presented = secured.getpeercert(binary_form=True)
        assert (presented == ssl.PEM_cert_to_DER_cert(certificate.read_text())) is known


def test_targets_are_balanced_by_weight_and_dead_ones_skipped(gateway: Gateway, echo: int) -> None:
    dead = free_port()
    with served() as other:
        targets = [(echo, 75), (other, 25), (dead, 0)]
        upstream = {"name": "foo.svc", "targets": [{"target": f"127.0.0.1:{p}", "weight": w} for p, w in targets]}
        gateway.configure(service(80, route(paths=["/"]), host="foo.svc"), upstreams=[upstream])
        answered = [gateway.client.get("/").json()["port"] for _ in range(40)]
        assert (answered.count(echo), answered.count(other)) == (30, 10)

        upstream["targets"] = [{"target": f"127.0.0.1:{port}"} for port in (dead, echo)]
        gateway.configure(service(80, route(paths=["/"]), host="foo.svc"), upstreams=[upstream])
        assert [gateway.client.post("/", content=b"kept").json()["body"] for _ in range(10)] == ["kept"] * 10


def test_an_early_response_is_forwarded(gateway: Gateway) -> None:
    class Hasty(http.server.BaseHTTPRequestHandler):
        wbufsize = 1 << 16  # head and body at once: what it hasn't read may break the connection off between them

        def do_POST(self) -> None:
            self.send_response(409)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hasty")

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with served(Hasty) as hasty, served() as echo:
        gateway.configure(
            service(hasty, route(name="hasty", paths=["/hasty"]), name="hasty"),
            service(echo, route(name="echo", paths=["/echo"]), name="echo"),
        )
        for size in (1, 1000, 300_000):
            answers = [gateway.client.post(path, content=b"x" * size) for path in ("/hasty", "/echo") * 10]
            assert {answer.status_code for answer in answers[::2]} <= {409, 502}, "or it broke off, as it may"
            assert {answer.text for answer in answers[::2] if answer.status_code == 409} == {"hasty"}
            assert {len(answer.json()["body"]) for answer in answers[1::2]} == {size}


def test_a_failing_service_gets_kongs_502(gateway: Gateway) -> None:
    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            threading.Event().wait(PATIENCE)

    dead = free_port()
    with served(Silent) as silent:
        gateway.configure(
            service(80, route(name="a", paths=["/peerless"]), name="a", host="empty.svc"),
            service(80, route(name="b", paths=["/unknown"]), name="b", host="no-such-host.invalid"),
            service(dead, route(name="c", paths=["/dead"]), name="c"),
            service(silent, route(name="d", paths=["/silent"]), name="d", read_timeout=50, retries=1),
            upstreams=[{"name": "empty.svc"}],
        )
        accepting = {"Accept": "*/*"}
        paths = ("/peerless", "/unknown", "/dead", "/silent")
        answers = {path: gateway.client.get(path, headers=accepting) for path in paths}
        del gateway.client.headers["Accept"]
        plain = {path: gateway.client.get(path) for path in ("/unknown", "/dead")}
        gateway.client.headers["Accept"] = "*/*"
    assert {path: (answer.status_code, answer.json()["message"]) for path, answer in answers.items()} == {
        "/peerless": (503, "failure to get a peer from the ring-balancer"),
        "/unknown": (503, "name resolution failed"),
        "/dead": (502, "An invalid response was received from the upstream server"),
        "/silent": (504, "The upstream server is timing out"),
    }
    # Without Accept, Kong's own errors are JSON and those of nginx text.
    assert {path: answer.headers["content-type"] for path, answer in plain.items()} == {
        "/unknown": "application/json; charset=utf-8",
        "/dead": "text/plain; charset=utf-8",
    }
    assert answers["/dead"].headers["via"] == "1.1 kong/3.9.3"
    assert ["x-kong-response-latency" in answers[path].headers for path in ("/dead", "/peerless")] == [False, False]
    xml = gateway.client.get("/nowhere", headers={"Accept": "application/xml"})
    assert (xml.headers["content-type"], "<message>no Route matched" in xml.text) == (
        "application/xml; charset=utf-8",
        True,
    )


def test_timeouts_are_retried_even_on_a_kept_connection(
    gateway: Gateway,
) -> None:
    asked: list[str] = []

    class Slow(Echo):
        def answer(self, body: bytes) -> bytes:
            asked.append(self.path)
            if self.path != "/":
                threading.Event().wait(PATIENCE)
            return super().answer(body)

    with served(Slow) as slow:
        gateway.configure(service(slow, route(paths=["/"]), read_timeout=2000, retries=1))
        eventually(lambda: gateway.client.get("/").status_code == 200)
        assert gateway.client.get("/slow").status_code == 504
        eventually(lambda: asked.count("/slow") == 2)


@pytest.mark.parametrize(
    ("config", "entity", "field"),
    [
        ({"services": [{"name": "s", "host": "h", "routes": [route(paths=["/"], tag=1)]}]}, "route", "tag"),
        ({"services": [{"name": "s", "host": "h", "routes": [route(paths=["foo"])]}]}, "route", "paths"),
        ({"services": [{"name": "s", "host": "h", "routes": [route(paths=["~/("])]}]}, "route", "paths"),
        ({"services": [{"name": "s", "host": "h", "protocol": "tcp"}]}, "service", "protocol"),
        ({"services": [{"name": "s", "host": "h", "protocol": "https"}]}, "service", "protocol"),
        ({"services": [{"name": "s", "host": "h", "plugins": []}]}, "service", "plugins"),
        (
            {"services": [{"name": "s", "host": "h", "routes": [route(paths=["/"], methods=["GET"])]}]},
            "route",
            "methods",
        ),
        ({"services": [{"name": "s", "host": "h"}, {"name": "s", "host": "h"}]}, "service", "@entity"),
        ({"routes": [{"name": "r", "paths": ["/"], "service": "nobody"}]}, "route", "service"),
        # No key of the stack's configuration produces these.
        ({"upstreams": [{"name": "u", "algorithm": "least-connections"}]}, "upstream", "algorithm"),
        ({"upstreams": [{"name": "u", "algorithm": "consistent-hashing"}]}, "upstream", "algorithm"),
        ({"upstreams": [{"name": "u", "hash_on": "ip"}]}, "upstream", "hash_on"),
        ({"upstreams": [{"name": "u", "healthchecks": {"threshold": 50}}]}, "upstream", "threshold"),
        ({"plugins": [{"name": "no-such-plugin"}]}, "plugin", "name"),
        ({"plugins": [{"name": "correlation-id", "config": {"headers": 1}}]}, "plugin", "config.headers"),
        ({"plugins": [{"name": "correlation-id", "route": "nobody"}]}, "plugin", "route"),
        ({"plugins": [{"name": "correlation-id"}, {"name": "correlation-id"}]}, "plugin", "@entity"),
    ],
)
def test_an_unsupported_configuration_is_refused_and_changes_nothing(
    gateway: Gateway, echo: int, config: dict[str, Any], entity: str, field: str
) -> None:
    gateway.configure(service(echo, route(paths=["/before"], name=f"before-{entity}-{field}")))
    refused = gateway.post(config)
    assert (refused.status_code, refused.json()["code"]) == (400, 14)
    (fault,) = refused.json()["flattened_errors"]
    assert fault["entity_type"] == entity
    assert [(error["field"], error["type"]) for error in fault["errors"]] == [(field, "field")]
    assert gateway.client.get("/before").status_code == 200


def test_an_error_of_a_route_names_its_kubernetes_object(gateway: Gateway) -> None:
    refused = gateway.post({"services": [{"name": "s", "host": "h", "routes": [route(paths=["/"], hosts=["a:1"])]}]})
    (fault,) = refused.json()["flattened_errors"]
    assert (fault["entity_name"], fault["entity_tags"]) == ("default.foo.foo..80", TAGS)


@pytest.mark.parametrize("operation", ["add", "replace", "rename"])
def test_an_entry_that_crashes_kongs_schema_is_500(gateway: Gateway, operation: str) -> None:
    for entry in (":x", ":", "::x"):
        config = {operation: {"querystring": [entry]}}
        refused = gateway.post({"plugins": [{"name": "request-transformer", "config": config}]})
        assert (refused.status_code, refused.json()) == (500, {"message": "An unexpected error occurred"})


def test_an_unknown_kind_of_entity_is_refused(gateway: Gateway) -> None:
    refused = gateway.post({"vaults": []})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["vaults"])


def test_the_most_specific_plugin_runs(gateway: Gateway, echo: int) -> None:
    def end(message: str, **to: str) -> dict[str, Any]:
        return {"name": "request-termination", "config": {"status_code": 403, "message": message}, **to}

    gateway.configure(
        service(echo, route(name="near", paths=["/near"]), route(name="far", paths=["/far"])),
        plugins=[end("all"), end("route", route="near")],
    )
    assert gateway.client.get("/near").text == '{"message":"route"}'
    assert gateway.client.get("/far").text == '{"message":"all"}'
    assert gateway.client.get("/else").status_code == 404
    assert gateway.admin.get("/schemas/plugins/request-termination").status_code == 200
    assert gateway.admin.get("/schemas/plugins/no-such-plugin").status_code == 404


def test_a_configuration_is_applied_atomically(gateway: Gateway, echo: int) -> None:
    """Two configurations that route the same path differently take turns under load."""
    configs = [
        [service(echo, route(name=name, paths=["/x"], strip_path=True), name=name, path=f"/{name}")]
        for name in ("a", "b")
    ]
    gateway.configure(*configs[0])
    answers: list[str] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=gateway.client.base_url, trust_env=False, timeout=PATIENCE) as client:
            while not done.is_set():
                answer = client.get("/x")
                answers.append(answer.json()["path"] if answer.status_code == 200 else answer.text)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for turn in range(1, 5000):
        gateway.configure(*configs[turn % 2])
        if turn > 50 and len(set(answers)) > 1:
            break
    done.set()
    for asker in askers:
        asker.join()
    assert set(answers) == {"/a", "/b"}


def test_the_client_address_comes_from_a_trusted_load_balancer(tmp_path: Path, echo: int) -> None:
    settings = {"real_ip_header": "proxy_protocol", "trusted_ips": "10.0.0.0/8,127.0.0.0/8"}
    with running(tmp_path, " proxy_protocol", **settings) as gateway:
        gateway.configure(service(echo, route(paths=["/"])))

        def asked(header: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
                raw.sendall(header + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: raw.recv(65536), b""))

        headed = asked(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n")
        assert b'"X-Real-Ip": "203.0.113.7"' in headed
        assert b'"X-Forwarded-For": "203.0.113.7"' in headed
        assert asked(b"") == b"", "a connection without the header is hung up on"
        assert re.search(r'^203\.0\.113\.7 - - .*"GET / HTTP/1.1" 200 ', gateway.log.read_text(), re.MULTILINE)


def test_an_untrusted_load_balancer_is_the_client(tmp_path: Path, echo: int) -> None:
    settings = {"real_ip_header": "proxy_protocol", "trusted_ips": "10.0.0.0/8"}
    with running(tmp_path, " proxy_protocol", **settings) as gateway:
        gateway.configure(service(echo, route(paths=["/"])))
        with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
            raw.sendall(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\nGET / HTTP/1.0\r\n\r\n")
            assert b'"X-Real-Ip": "127.0.0.1"' in b"".join(iter(lambda: raw.recv(65536), b""))


def test_sigquit_drains_requests(tmp_path: Path) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrived.set()
            go_on.wait(PATIENCE)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"done")

    with served(Slow) as slow, running(tmp_path) as gateway:
        gateway.configure(service(slow, route(paths=["/"])))
        answers: list[httpx.Response] = []
        asker = threading.Thread(target=lambda: answers.append(gateway.client.get("/")))
        asker.start()
        assert arrived.wait(PATIENCE)
        quitting = gateway.command("quit", "--wait=0", f"--timeout={PATIENCE}")
        while True:  # until it no longer listens; a connection that it hasn't accepted by then is reset
            with suppress(ConnectionResetError):
                try:
                    socket.create_connection(("127.0.0.1", gateway.port)).close()
                except ConnectionRefusedError:
                    break
        go_on.set()
        asker.join()
        assert [answer.text for answer in answers] == ["done"]
        assert (quitting.wait(PATIENCE), gateway.process.wait(PATIENCE)) == (0, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database", "postgres"),
        ("router_flavor", "expressions"),
        ("admin_gui_listen", "0.0.0.0:8002"),
        ("proxy_listen", "127.0.0.1:1 quic"),
        ("trusted_ips", "everyone"),
        ("trusted_ip", "10.0.0.0/8"),
        ("headers", "Server, X-Powered-By"),
        ("nginx_proxy_large_client_header_buffers", "16k"),
        ("nginx_proxy_proxy_buffers", "2 4k"),
    ],
)
def test_an_unsupported_setting_is_reported_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    with running(tmp_path) as gateway:
        gateway.environment[f"KONG_{name.upper()}"] = value
        before = gateway.log.stat().st_size
        assert gateway.command("docker-start").wait(PATIENCE) == 1
        (line,) = gateway.log.read_bytes()[before:].decode().splitlines()
        assert f"KONG_{name.upper()}" in line


def test_kubernetes_service_variables_are_ignored(tmp_path: Path) -> None:
    links = {"PROXY_SERVICE_HOST": "10.1.1.1", "PROXY_PORT": "tcp://10.1.1.1:80", "PROXY_PORT_80_TCP_ADDR": "10.1.1.1"}
    with running(tmp_path, **links, PROXY_SERVICE_PORT_KONG_PROXY="80") as gateway:
        gateway.process.send_signal(signal.SIGQUIT)
        assert gateway.process.wait(PATIENCE) == 0
