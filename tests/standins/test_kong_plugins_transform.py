"""The proxy stand-in's transformers change requests and responses as Kong documents."""

import http.server
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.toolchain.build import tool
from tests.standins.gateway import Echo, Gateway, route, running, served, service

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")


class Answering(Echo):
    """Echoes requests in the content type of the request's X-Answer-Type."""

    do_PUT = Echo.do_GET  # noqa: N815 -- the base class's name

    def answer(self, body: bytes) -> bytes:
        asked = json.loads(body)
        asked |= {"method": self.command, "on": True, "list": ["a"], "text": "t"}
        asked["x-list"] = self.headers.get_all("X-List")
        encoded = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("X-Answer-Type", "application/json"))
        self.send_header("Content-Length", str(len(encoded)))
        self.send_header("X-Powered-By", "echo")
        self.send_header("X-Old", "old")
        self.send_header("X-Twice", "1")
        self.end_headers()
        return encoded


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    with served(Answering) as port:
        yield port


def transformed(gateway: Gateway, echo: int, name: str, config: dict[str, Any], **fields: Any) -> None:  # noqa: ANN401
    """Has every request or response transformed by `config`."""
    gateway.configure(
        service(echo, route(**{"paths": ["/"], **fields})), plugins=[{"name": f"{name}-transformer", "config": config}]
    )


def test_request_headers_are_removed_renamed_replaced_added_and_appended(gateway: Gateway, echo: int) -> None:
    transformed(
        gateway,
        echo,
        "request",
        {
            "remove": {"headers": ["X-Secret"]},
            "rename": {"headers": ["X-From:X-To", "X-Absent:X-Never"]},
            "replace": {"headers": ["X-There:new", "X-Not-There:new", "Host:inner.example.com"]},
            "add": {"headers": ["X-There:other", "X-Added:at 12:30"]},
            "append": {"headers": ["X-List:b"]},
        },
    )
    sent = {"X-Secret": "s", "X-From": "moved", "X-There": "old", "X-List": "a"}
    answer = gateway.client.get("/", headers=sent).json()
    got = answer["headers"]
    names = ("X-Secret", "X-From", "X-To", "X-Never", "X-There", "X-Not-There", "X-Added", "Host")
    assert {name: got.get(name) for name in names} == {
        "X-Secret": None,
        "X-From": None,
        "X-To": "moved",
        "X-Never": None,
        "X-There": "new",
        "X-Not-There": None,
        "X-Added": "at 12:30",
        "Host": "inner.example.com",
    }
    assert answer["x-list"] == ["a", "b"]


def test_the_query_the_method_and_the_path_are_changed(gateway: Gateway, echo: int) -> None:
    fields = {"querystring": ["a:1"]}
    transformed(
        gateway,
        echo,
        "request",
        {
            "http_method": "PUT",
            "remove": {"querystring": ["gone"]},
            "rename": {"querystring": ["old:fresh"]},
            "replace": {"querystring": ["there:2", "missing:2"], "uri": "/inner/$(uri_captures['id'])"},
            "add": fields,
            "append": {"querystring": ["tags:y"]},
        },
        paths=[r"~/items/(?<id>\d+)"],
    )
    got = gateway.client.get("/items/42?gone=x&old=3&there=1&tags=x").json()
    assert (got["path"], got["method"]) == ("/inner/42?a=1&fresh=3&tags=x&tags=y&there=2", "PUT")


def test_templates_use_the_original_request(gateway: Gateway, echo: int) -> None:
    added = ["X-Copy:$(headers.x_source)-$(query_params.q)-$(headers['X-Nothing'])", "X-Plain:costs $5"]
    transformed(gateway, echo, "request", {"remove": {"headers": ["X-Source"]}, "add": {"headers": added}})
    got = gateway.client.get("/?q=1", headers={"X-Source": "from"}).json()["headers"]
    assert (got["X-Copy"], got["X-Plain"], "X-Source" in got) == ("from-1-", "costs $5", False)


@pytest.mark.parametrize(
    ("uri", "path", "rewritten"),
    [
        ('$(uri_captures[1] == nil and "/" or "/" .. uri_captures[1])', "/old/a", "/a"),
        ('$(uri_captures[1] == nil and "/" or "/" .. uri_captures[1])', "/old", "/"),
        ('/new$(uri_captures[1] == nil and "" or "/" .. uri_captures[1])', "/old/a", "/new/a"),
        ("/new/$(uri_captures[1])", "/old/a", "/new/a"),
    ],
)
def test_the_controllers_rewrite_of_a_prefix_works(
    gateway: Gateway, echo: int, uri: str, path: str, rewritten: str
) -> None:
    transformed(gateway, echo, "request", {"replace": {"uri": uri}}, paths=["~/old(?:/(.*))?$"])
    assert gateway.client.get(path).json()["path"] == rewritten


def test_a_body_buffered_to_a_file_is_empty_for_the_plugin(echo: int, tmp_path: Path) -> None:
    long = {"gone": "x" * 2**11}
    for size, removed in (("1k", False), ("8k", True)):
        with running(tmp_path, nginx_http_client_body_buffer_size=size) as gateway:
            transformed(gateway, echo, "request", {"remove": {"body": ["gone"]}})
            assert json.loads(gateway.client.post("/", json=long).json()["body"]) == ({} if removed else long)
            # Kong issue 11840: what is added is all that is left.
            transformed(gateway, echo, "request", {"add": {"body": ["added:yes"]}})
            added = {"added": "yes"}
            got = json.loads(gateway.client.post("/", json=long).json()["body"])
            assert got == (long | added if removed else added)
            form = gateway.client.post("/", data=long).json()["body"]
            assert form == (f"added=yes&gone={long['gone']}" if removed else "added=yes")


def test_only_json_and_form_bodies_are_transformed(gateway: Gateway, echo: int) -> None:
    transformed(
        gateway,
        echo,
        "request",
        {
            "remove": {"body": ["gone"]},
            "rename": {"body": ["old:fresh", "absent:never"]},
            "replace": {"body": ["there:2", "missing:2"]},
            "add": {"body": ["there:3", "added:yes"]},
            "append": {"body": ["tags:y"]},
        },
    )
    sent = {"gone": 1, "old": {"deep": [1]}, "there": 1, "tags": ["x"], "kept": 1.5}
    got = gateway.client.post("/", json=sent).json()
    assert json.loads(got["body"]) == {
        "fresh": {"deep": [1]},
        "there": "2",
        "added": "yes",
        "tags": ["x", "y"],
        "kept": 1.5,
    }
    assert int(got["headers"]["Content-Length"]) == len(got["body"])
    form = gateway.client.post("/", data={"gone": "1", "old": "&", "there": "1"}).json()["body"]
    assert form == "added=yes&fresh=%26&tags=y&there=2"
    for content in (b"gone=1", b'["gone"]'):
        kind = {"Content-Type": "text/plain" if content == b"gone=1" else "application/json"}
        assert gateway.client.post("/", content=content, headers=kind).json()["body"] == content.decode()


def test_response_headers_and_fields_are_changed(gateway: Gateway, echo: int) -> None:
    transformed(
        gateway,
        echo,
        "response",
        {
            "remove": {"headers": ["X-Powered-By"], "json": ["port"]},
            "rename": {"headers": ["X-Old:X-New"], "json": ["text:words"]},
            "replace": {"json": ["on:false", "never:1"], "json_types": ["boolean", "number"]},
            "add": {
                "headers": ["Strict-Transport-Security:max-age=63072000", "X-Twice:other"],
                "json": ["count:3", "note:3"],
                "json_types": ["number", "string"],
            },
            "append": {"headers": ["X-Twice:2"], "json": ["list:b"]},
        },
    )
    answer = gateway.client.get("/")
    names = ("x-powered-by", "x-old", "x-new", "x-twice", "strict-transport-security")
    assert {name: answer.headers.get(name) for name in names} == {
        "x-powered-by": None,
        "x-old": None,
        "x-new": "old",
        "x-twice": "1, 2",
        "strict-transport-security": "max-age=63072000",
    }
    changed = answer.json()
    fields = ("port", "text", "words", "on", "never", "count", "note", "list")
    assert {name: changed.get(name) for name in fields} == {
        "port": None,
        "text": None,
        "words": "t",
        "on": False,
        "never": None,
        "count": 3,
        "note": "3",
        "list": ["a", "b"],
    }
    assert json.loads(gateway.client.get("/", headers={"X-Answer-Type": "text/plain"}).text)["port"] == echo


def test_responses_of_kong_itself_are_transformed(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(paths=["/"])),
        plugins=[
            {"name": "key-auth"},
            {
                "name": "response-transformer",
                "config": {"remove": {"headers": ["Server", "Via"]}, "add": {"headers": ["X-Frame-Options:DENY"]}},
            },
        ],
    )
    refused = gateway.client.get("/")
    assert (refused.status_code, refused.headers["x-frame-options"]) == (401, "DENY")
    assert refused.headers["server"] == "kong/3.9.3", "Kong adds it after all plugins"


@pytest.mark.parametrize(
    ("kept", "absent"),
    [
        ("Via,X-Kong-Request-Id", {"server", "x-kong-upstream-latency", "x-kong-proxy-latency"}),
        ("latency_tokens", {"server", "via", "x-kong-request-id"}),
        ("off", {"server", "via", "x-kong-upstream-latency", "x-kong-proxy-latency", "x-kong-request-id"}),
    ],
)
def test_the_headers_setting_removes_kongs_headers(echo: int, tmp_path: Path, kept: str, absent: set[str]) -> None:
    with running(tmp_path, headers=kept) as gateway:
        transformed(gateway, echo, "response", {"remove": {"headers": ["Server", "Via"]}})
        headers = gateway.client.get("/").headers
        own = {"server", "via", "x-kong-upstream-latency", "x-kong-proxy-latency", "x-kong-request-id"}
        assert own - set(headers) == absent


NUMBERS = b'{"id":123456789012345,"at":1700000000.123456,"list":[12345678901234567890],"url":"a/b","small":1.50}'
REWRITTEN = {"id": 1.2345678901234e14, "at": 1700000000.1235, "list": [1.2345678901235e19], "url": "a/b", "small": 1.5}


class Fixed(http.server.BaseHTTPRequestHandler):
    """Answers with the request's body, in JSON."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("X-Answer-Type", "application/json"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def test_a_transformed_body_is_reencoded_with_14_digits(gateway: Gateway) -> None:
    with served(Fixed) as fixed:
        for name, removed in (("response", "json"), ("request", "body")):
            transformed(gateway, fixed, name, {"remove": {removed: ["absent"]}})
            for kind in ("application/json", *(["application/problem+json"] if name == "response" else [])):
                headers = {"Content-Type": "application/json", "X-Answer-Type": kind}
                answer = gateway.client.post("/", content=NUMBERS, headers=headers)
                assert json.loads(answer.text) == REWRITTEN
                assert '"id":1.2345678901234e+14' in answer.text
                assert r'"url":"a\/b"' in answer.text


@pytest.mark.parametrize("body", [b"true", b"5", b'"text"', b"null"])
def test_transformers_fail_on_json_that_is_a_bare_value(gateway: Gateway, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    with served(Fixed) as fixed:
        transformed(gateway, fixed, "response", {"add": {"json": ["a:b"]}})
        with pytest.raises(httpx.RemoteProtocolError):
            gateway.client.post("/", content=body, headers=headers)
        transformed(gateway, fixed, "request", {"add": {"body": ["a:b"]}})
        failed = gateway.client.post("/", content=body, headers=headers)
        assert (failed.status_code, failed.json()["message"]) == (500, "An unexpected error occurred")


def test_a_transformed_query_is_reencoded(gateway: Gateway, echo: int) -> None:
    transformed(gateway, echo, "request", {"add": {"querystring": ["x:y"]}})
    assert gateway.client.get("/?a=1;b=2&c=d+e").json()["path"] == "/?a=1%3Bb%3D2&c=d%20e&x=y"


def test_redirect_sends_the_configured_location(gateway: Gateway, echo: int) -> None:
    config = {"location": "https://elsewhere.test/here", "status_code": 302}
    keeping = {"location": "https://elsewhere.test/here", "keep_incoming_path": True}
    gateway.configure(
        service(echo, route(name="plain", paths=["/plain"]), route(name="keep", paths=["/keep"])),
        plugins=[
            {"name": "redirect", "config": config, "route": "plain"},
            {"name": "redirect", "config": keeping, "route": "keep"},
        ],
    )
    answers = [gateway.client.get(path) for path in ("/plain?a=1", "/keep?a=1")]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [
        (302, "https://elsewhere.test/here"),
        (301, "https://elsewhere.test/keep?a=1"),
    ]


@pytest.mark.parametrize(
    ("name", "config", "field"),
    [
        ("request", {"add": {"headers": ["X-Nothing"]}}, "config.add.headers"),
        ("request", {"replace": {"body": ["x:"]}}, "config.replace.body"),
        ("request", {"add": {"headers": ["X-Time:$(os.time())"]}}, "config"),
        ("request", {"add": {"cookies": ["a:b"]}}, "config.cookies"),
        ("response", {"rename": {"json": ["a"]}}, "config.rename.json"),
        ("response", {"add": {"json": ["a:1"], "json_types": ["integer"]}}, "config.add.json_types"),
    ],
)
def test_an_invalid_transformation_is_refused(gateway: Gateway, name: str, config: dict[str, Any], field: str) -> None:
    refused = gateway.post({"plugins": [{"name": f"{name}-transformer", "config": config}]})
    (fault,) = refused.json()["flattened_errors"]
    assert {error["field"] for error in fault["errors"]} == {field}
