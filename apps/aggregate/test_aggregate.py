"""The aggregate's answer for services that answer well, badly, late or not at all."""

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from apps.aggregate.app import MAX_ANSWER_BYTES, Configuration, application

TIMEOUT = 120.0
"""Seconds for services that answer; no test waits for so long unless it fails."""
SHORT = 0.2
"""Seconds for services that never answer."""


async def good(request: web.Request) -> web.Response:
    return web.json_response({"path": request.path, "headers": dict(request.headers)})


async def never(request: web.Request) -> web.Response:
    await request.app[FINISHED].wait()
    return web.json_response("never read")


async def trickle(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while not request.app[FINISHED].is_set():
        await answer.write(b" ")
        await asyncio.sleep(0.01)
    return answer


async def meet(request: web.Request) -> web.Response:
    """Answers once three requests are there at the same time."""
    await request.app[BARRIER].wait()
    return web.json_response("met")


async def missing(_: web.Request) -> web.Response:
    return web.json_response({"secret": "of the service"}, status=404)


async def broken(_: web.Request) -> web.Response:
    return web.Response(body=b'{"half": ', content_type="application/json")


async def empty(_: web.Request) -> web.Response:
    return web.Response(content_type="application/json")


async def not_a_number(_: web.Request) -> web.Response:
    return web.Response(body=b"NaN", content_type="application/json")


async def deep(_: web.Request) -> web.Response:
    return web.Response(body=b"[" * 100_000 + b"]" * 100_000, content_type="application/json")


async def exact(_: web.Request) -> web.Response:
    return web.Response(body=b"1.00000000000000000001", content_type="application/vnd.example+json")


async def nothing(_: web.Request) -> web.Response:
    return web.Response(status=204, content_type="application/json")


async def large(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * (MAX_ANSWER_BYTES + 1))


async def moved(_: web.Request) -> web.Response:
    raise web.HTTPFound("/good")


async def hangs_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


FINISHED = web.AppKey("finished", asyncio.Event)
BARRIER = web.AppKey("barrier", asyncio.Barrier)
HANDLERS: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    handler.__name__: handler
    for handler in (
        good,
        never,
        trickle,
        meet,
        missing,
        broken,
        empty,
        not_a_number,
        deep,
        exact,
        nothing,
        large,
        moved,
        hangs_up,
    )
} | {"meet_too": meet, "meet_as_well": meet}


@dataclass
class Raw:
    """A service that answers any request with these bytes, and keeps the first line of the last request."""

    answer: bytes
    request_line: bytes = b""

    @classmethod
    def of(cls, body: bytes, content_type: bytes | None) -> "Raw":
        kind = b"" if content_type is None else b"Content-Type: %b\r\n" % content_type
        return cls(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (kind, len(body), body))

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            self.request_line = head.partition(b"\r\n")[0]
            writer.write(self.answer)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/raw"


class Answer:
    def __init__(self, response: ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def json(self) -> dict[str, Any]:
        """The answer as a strict parser reads it: in UTF-8, without NaN, without lone surrogates."""
        parsed: dict[str, Any] = json.loads(self.body.decode(), parse_constant=refuse)
        json.dumps(parsed, ensure_ascii=False).encode()
        return parsed


def refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def ask(
    *names: str,
    raw: Raw | None = None,
    identity: bool = False,
    path: str = "/overview",
    **client: Any,  # noqa: ANN401 -- aiohttp's own options
) -> Answer:
    """Requests an aggregate of the services `names` (a handler's name, or `gone`) and of `raw`."""

    async def asked() -> Answer:
        services = web.Application()
        services[FINISHED] = asyncio.Event()
        services[BARRIER] = asyncio.Barrier(3)
        for name, handler in HANDLERS.items():
            services.router.add_get(f"/{name}", handler)
        async with TestServer(services) as server, (raw or Raw(b"")).served() as raw_url:
            urls = {name: str(server.make_url(f"/{name}")) for name in names}
            if "gone" in urls:
                urls["gone"] = f"http://127.0.0.1:{unused_port()}/"
            if raw:
                urls["raw"] = raw_url
            timeouts = {name: SHORT if name in {"never", "trickle"} else TIMEOUT for name in urls}
            settings = {
                "path": "/overview",
                "backends": {name: {"url": url, "timeout": timeouts[name]} for name, url in urls.items()},
                "identity": identity,
                "headers": ["X-Tenant"],
            }
            app = application(Configuration.parse(json.dumps(settings)))
            async with TestClient(TestServer(app)) as asker:
                response = await asker.get(URL(path, encoded=True), **client)
                answer = Answer(response, await response.read())
                services[FINISHED].set()
                return answer

    return asyncio.run(asked())


def test_responses_are_combined_by_service_name() -> None:
    answer = ask("good", "nothing")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert "Cache-Control" not in answer.headers
    assert answer.json["complete"] is True
    assert answer.json["errors"] == {}
    assert list(answer.json["results"]) == ["good", "nothing"]
    assert answer.json["results"]["good"]["path"] == "/good"
    assert answer.json["results"]["nothing"] is None


def test_services_are_requested_at_the_same_time() -> None:
    assert ask("meet", "meet_too", "meet_as_well").json["results"] == dict.fromkeys(
        ("meet", "meet_too", "meet_as_well"), "met"
    )


def test_a_missing_response_is_listed_beside_the_others() -> None:
    answer = ask("good", "never", "missing", "gone")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["complete"] is False
    assert list(answer.json["results"]) == ["good"]
    assert answer.json["errors"] == {
        "never": {"status": 504, "message": "no answer within 0.2 s"},
        "missing": {"status": 404, "message": "answered with status 404"},
        "gone": {"status": 502, "message": "no connection, or no whole HTTP answer"},
    }


def test_the_time_limit_includes_the_body() -> None:
    assert ask("good", "trickle").json["errors"]["trickle"]["status"] == 504


@pytest.mark.parametrize("name", ["broken", "empty", "not_a_number", "deep", "large", "moved", "hangs_up"])
def test_an_invalid_response_counts_as_missing(name: str) -> None:
    answer = ask("good", name)
    assert answer.json["errors"][name]["status"] == 502
    assert list(answer.json["results"]) == ["good"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % (b"x" * 20_000),
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
    ],
)
def test_a_truncated_response_counts_as_missing(answer: bytes) -> None:
    combined = ask("nothing", raw=Raw(answer))
    assert combined.json["complete"] is False
    assert combined.json["errors"]["raw"]["status"] == 502
    assert combined.json["results"] == {"nothing": None}


def test_numbers_keep_their_precision() -> None:
    assert b'"exact":1.00000000000000000001' in ask("exact").body
    digits = b"1" * 5000
    assert b'"raw":%b}' % digits in ask(raw=Raw.of(digits, b"application/json")).body


SMILE = "\N{GRINNING FACE}"
GREETING = "Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"
LATIN_1 = GREETING.encode("latin-1")
REPLACED = GREETING.replace("\N{LATIN SMALL LETTER U WITH DIAERESIS}", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        b"",
        b";",
        b"text",
        b"text/plain",
        b"text/html",
        b"application/octet-stream",
        b"image/png",
        b"text/plain; charset",
        b"text/plain; charset=",
        b"text/plain; charset=bogus",
        b"text/plain; charset=hex",
        b"text/plain; charset=idna",
        b"text/plain; charset=undefined",
        b"text/plain; charset=ascii",
        b'text/plain; charset="\xff\x01"',
        b"text/plain; charset*=utf-8''utf-8",
        b"text/plain; charset=UTF-8; charset=latin-1",
    ],
)
def test_text_of_any_content_type_and_charset_is_a_string(content_type: bytes | None) -> None:
    answer = ask("good", raw=Raw.of(f'said "{GREETING}"'.encode(), content_type))
    assert answer.json["complete"] is True
    assert list(answer.json["results"]) == ["good", "raw"]
    assert answer.json["results"]["raw"] == f'said "{GREETING}"'


@pytest.mark.parametrize(
    ("content_type", "body", "result"),
    [
        (b"text/plain; charset=iso-8859-1", LATIN_1, GREETING),
        (b"text/plain", LATIN_1, REPLACED),
        (b"text/plain; charset=utf-7", b"a+2AA-z", "a\N{REPLACEMENT CHARACTER}z"),
        # Python's codecs for host names are no charsets.
        (b"text/plain; charset=punycode", b"a-b-", "a-b-"),
        (b"text/plain; charset=IDNA", b"xn--tda", "xn--tda"),
        (b"text/plain; charset=utf-16-be", GREETING.encode("utf-16-be"), GREETING),
        (b"text/plain; charset=iso-8859-1", codecs.BOM_UTF8 + GREETING.encode(), GREETING),
        (b"text/plain", GREETING.encode("utf-16"), GREETING),
        (b"text/plain", GREETING.encode("utf-32"), GREETING),
        (b"text/plain; charset=utf-8", b"a\0b", "a\0b"),
        (b"text/plain", b"", None),
        (b"application/json", codecs.BOM_UTF8 + b' {"a": 1} ', {"a": 1}),
        (b"application/json", codecs.BOM_UTF8 + b'"' + LATIN_1 + b'"', REPLACED),
        (b"application/json; charset=iso-8859-1", f'"{GREETING}"'.encode(), GREETING),
        (b"application/json; charset=iso-8859-1", b'"' + LATIN_1 + b'"', GREETING),
        (b"application/json; charset=bogus", f'"{GREETING}"'.encode(), GREETING),
        (b"application/json", b'"' + LATIN_1 + b'"', REPLACED),
        (b"application/json", f'"{GREETING}"'.encode("utf-16"), GREETING),
        (b"application/json", f'"{GREETING}"'.encode("utf-16-be"), GREETING),
        (b"application/json; charset=utf-16", f'"{GREETING}"'.encode("utf-16-le"), GREETING),
        (b"application/json", f'"{GREETING}"'.encode("utf-32-le"), GREETING),
        (b"text/json", b'{"a": 1}', {"a": 1}),
        (b"application/json", rb'"\ud83d\ude00"', SMILE),
        (b"application/json", rb'"\ude00\uD83D"', "\N{REPLACEMENT CHARACTER}" * 2),
        (b"application/json", rb'"\ud83d\ud83d\ude00"', "\N{REPLACEMENT CHARACTER}" + SMILE),
        (b"application/json", rb'"\\ud83d\\\ud83d"', "\\ud83d\\\N{REPLACEMENT CHARACTER}"),
        (b"application/json", b'"\xed\xa0\x80"', "\N{REPLACEMENT CHARACTER}" * 3),
        (b"application/json; charset=unicode_escape", b'"\xff\\ud83d"', "\N{LATIN SMALL LETTER Y WITH DIAERESIS}?"),
    ],
)
def test_every_charset_is_converted_to_utf_8(content_type: bytes, body: bytes, result: object) -> None:
    answer = ask("good", raw=Raw.of(body, content_type))
    assert answer.json["complete"] is True
    assert list(answer.json["results"]) == ["good", "raw"]
    assert answer.json["results"]["raw"] == result


JSON = st.recursive(st.none() | st.booleans() | st.text(st.characters()), lambda inner: st.lists(inner, max_size=3))
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "cp1252", "utf-7"])
BODIES = st.binary(max_size=40) | st.builds(
    lambda value, ascii_only, encoding: json.dumps(value, ensure_ascii=ascii_only).encode(encoding, "replace"),
    JSON,
    st.booleans(),
    ENCODINGS,
)
CHARSETS = st.sampled_from(
    [b"utf-8", b"utf-16", b"utf-7", b"latin-1", b"unicode_escape", b"rot13", b"zlib", b"base64", b"punycode", b"mbcs"]
)
CONTENT_TYPES = st.none() | st.builds(
    lambda kind, charset: kind + b"; charset=" + charset,
    st.sampled_from([b"text/plain", b"application/json", b"application/problem+json"]),
    CHARSETS | st.binary(max_size=10).map(lambda value: bytes(byte for byte in value if byte not in b"\0\r\n")),
)


@given(content_type=CONTENT_TYPES, body=BODIES)
@example(content_type=b"application/json; charset=unicode_escape", body=b'\xff"\\')
def test_a_bad_response_leaves_the_others_intact(content_type: bytes | None, body: bytes) -> None:
    answer = ask("nothing", raw=Raw.of(body, content_type))
    assert answer.status == 200
    assert {"nothing"} <= set(answer.json["results"])
    assert set(answer.json["results"]) | set(answer.json["errors"]) == {"nothing", "raw"}
    assert answer.json["complete"] == ("raw" in answer.json["results"])


@pytest.mark.parametrize(
    ("names", "status"),
    [(("never",), 504), (("missing",), 404), (("gone", "broken"), 502), (("missing", "never"), 502)],
)
def test_the_aggregate_fails_if_all_services_fail(names: tuple[str, ...], status: int) -> None:
    answer = ask(*names)
    assert answer.status == status
    assert answer.json["complete"] is False
    assert set(answer.json["errors"]) == set(names)


@pytest.mark.parametrize(
    "query",
    ["page=2", "a=%23red&x=1", "a=%2525&b=%2526", "a=%0d%0aX:1", "a+b=%20+&a=;|'[]", "%C3%A4=%ff&&=%zz%", "a=?/?", "="],
)
def test_the_query_string_is_forwarded_unchanged(query: str) -> None:
    service = Raw.of(b"", None)
    assert ask(raw=service, path=f"/overview?{query}").json["complete"] is True
    assert service.request_line == f"GET /raw?{query} HTTP/1.1".encode()


def test_no_query_string_is_added() -> None:
    service = Raw.of(b"", None)
    ask(raw=service)
    assert service.request_line == b"GET /raw HTTP/1.1"


@pytest.mark.parametrize("identity", [True, False])
def test_identity_headers_are_forwarded_only_with_auth(*, identity: bool) -> None:
    always = {"X-Request-ID": "1", "traceparent": "00-1-2-01", "Accept-Language": "de", "X-Tenant": "ours"}
    who = {"Authorization": "Bearer x", "X-Consumer-Username": "alice"}
    never_sent = {"Cookie": "session=1", "X-Other": "1"}
    headers = ask("good", identity=identity, headers=always | who | never_sent).json["results"]["good"]["headers"]
    assert always.items() <= headers.items()
    assert (who.items() <= headers.items()) == identity
    assert not (set(who) & set(headers)) or identity
    assert not set(never_sent) & set(headers)


def test_the_health_check_ignores_the_services() -> None:
    assert ask("gone", path="/healthz").status == 200


def test_unknown_paths_return_404() -> None:
    assert ask("good", path="/overview/more").status == 404


@pytest.mark.parametrize("text", ["", "{}", '{"path": "/", "backends": {"foo": {}}, "identity": false, "headers": []}'])
def test_incomplete_settings_stop_the_start(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Configuration.parse(text)
