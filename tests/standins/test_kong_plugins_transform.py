"""The proxy stand-in's transformers change requests and responses as Kong documents."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.toolchain.build import tool
from tests.standins.gateway import Echo, Gateway, route, running, served, service

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")


class Answering(Echo):
    """Echoes requests in the content type of the request's X-Answer-Type."""

    def answer(self, body: bytes) -> bytes:
        asked = json.loads(body)
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


def test_request_headers_are_removed_renamed_replaced_and_added(gateway: Gateway, echo: int) -> None:
    transformed(
        gateway,
        echo,
        "request",
        {
            "remove": {"headers": ["X-Secret"]},
            "rename": {"headers": ["X-From:X-To", "X-Absent:X-Never"]},
            "replace": {"headers": ["X-There:new", "X-Not-There:new", "Host:inner.example.com"]},
            "add": {"headers": ["X-There:other", "X-Added:at 12:30"]},
        },
    )
    sent = {"X-Secret": "s", "X-From": "moved", "X-There": "old"}
    got = gateway.client.get("/", headers=sent).json()["headers"]
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


def test_the_query_is_changed(gateway: Gateway, echo: int) -> None:
    transformed(
        gateway,
        echo,
        "request",
        {
            "remove": {"querystring": ["gone"]},
            "rename": {"querystring": ["old:fresh"]},
            "replace": {"querystring": ["there:2", "missing:2"]},
            "add": {"querystring": ["a:1", 'cost:$("$")5']},
        },
    )
    assert gateway.client.get("/?gone=x&old=3&there=1").json()["path"] == "/?a=1&cost=%245&fresh=3&there=2"


def test_response_headers_are_changed(gateway: Gateway, echo: int) -> None:
    transformed(
        gateway,
        echo,
        "response",
        {
            "remove": {"headers": ["X-Powered-By"]},
            "rename": {"headers": ["X-Old:X-New"]},
            "add": {"headers": ["Strict-Transport-Security:max-age=63072000", "X-Twice:other"]},
        },
    )
    answer = gateway.client.get("/")
    names = ("x-powered-by", "x-old", "x-new", "x-twice", "strict-transport-security")
    assert {name: answer.headers.get(name) for name in names} == {
        "x-powered-by": None,
        "x-old": None,
        "x-new": "old",
        "x-twice": "1",
        "strict-transport-security": "max-age=63072000",
    }


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


def test_a_transformed_query_is_reencoded(gateway: Gateway, echo: int) -> None:
    transformed(gateway, echo, "request", {"add": {"querystring": ["x:y"]}})
    assert gateway.client.get("/?a=1;b=2&c=d+e").json()["path"] == "/?a=1%3Bb%3D2&c=d%20e&x=y"


@pytest.mark.parametrize(
    ("name", "config", "field"),
    [
        ("request", {"add": {"headers": ["X-Nothing"]}}, "config.add.headers"),
        ("request", {"replace": {"querystring": ["x:"]}}, "config.replace.querystring"),
        ("request", {"append": {"headers": ["X-List:b"]}}, "config.append"),
        ("request", {"add": {"headers": ["X-Time:$(os.time())"]}}, "config"),
        ("request", {"add": {"cookies": ["a:b"]}}, "config.cookies"),
        ("response", {"rename": {"headers": ["a"]}}, "config.rename.headers"),
        ("response", {"add": {"json": ["a:1"]}}, "config.json"),
    ],
)
def test_an_invalid_transformation_is_refused(gateway: Gateway, name: str, config: dict[str, Any], field: str) -> None:
    refused = gateway.post({"plugins": [{"name": f"{name}-transformer", "config": config}]})
    (fault,) = refused.json()["flattened_errors"]
    assert {error["field"] for error in fault["errors"]} == {field}
