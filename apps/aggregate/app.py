"""The aggregate microservice: requests several services at once and combines their answers into one JSON document."""

import asyncio
import codecs
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import NoReturn

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, web
from yarl import URL

MAX_ANSWER_BYTES = 2**20
"""Limit for each service's answer; all answers are in memory at once."""
USABLE = set(range(200, 300)) - {HTTPStatus.PARTIAL_CONTENT}
PASSED_ON = ("Accept-Language", "X-Request-ID", "X-Forwarded-For", "traceparent", "tracestate")
IDENTITY = ("Authorization", "X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "X-Credential-Identifier")
"""The client's identity, as verified by the gateway."""
SESSION = web.AppKey("session", ClientSession)
BYTE_ORDER_MARKED = {"utf-8-sig", "utf-16", "utf-32"}
"""Encodings that `json.detect_encoding` returns for a body with a byte order mark only."""
NO_CHARSETS = {"idna", "punycode"}
"""Python's codecs for host names. They take minutes for the largest answer."""
ESCAPE = re.compile(r"\\(u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<lone>u[dD][89a-fA-F]..)|.)")
"""An escape in JSON: a surrogate pair, a lone surrogate, or any other."""


@dataclass(frozen=True)
class Backend:
    """A service's URL and its time limit in seconds."""

    url: str
    timeout: float


@dataclass(frozen=True)
class Configuration:
    """The variable AGGREGATE, parsed: the path, the services, and the client's headers that are passed on to them."""

    path: str
    backends: Mapping[str, Backend]
    headers: Sequence[str]

    @classmethod
    def parse(cls, text: str) -> "Configuration":
        settings = json.loads(text)
        backends = {name: Backend(**backend) for name, backend in settings["backends"].items()}
        identity = IDENTITY if settings["identity"] else ()
        return cls(settings["path"], backends, (*PASSED_ON, *identity, *settings["headers"]))


@dataclass(frozen=True)
class Failure:
    """The reason why a service's answer is missing; `status` is the one for the client."""

    status: int
    message: str


def application(configuration: Configuration) -> web.Application:
    async def session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as app[SESSION]:
            yield

    async def aggregate(request: web.Request) -> web.Response:
        answers = await asyncio.gather(
            *(_fetch(request, backend, configuration.headers) for backend in configuration.backends.values())
        )
        return _combine(dict(zip(configuration.backends, answers, strict=True)))

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get(configuration.path, aggregate)
    return app


async def _healthz(_: web.Request) -> web.Response:
    """Answers for this process alone: a failing service is a missing part and no reason for a restart."""
    return web.json_response({"status": "ok"})


async def _fetch(request: web.Request, backend: Backend, names: Sequence[str]) -> bytes | Failure:
    """Requests a service and returns its answer as JSON."""
    headers = {name: value for name in names if (value := request.headers.get(name)) is not None}
    # Encoded: decoding and quoting the client's query again would change the meaning of %23, %25 and %26 in it.
    url = URL(f"{backend.url}?{request.rel_url.raw_query_string}", encoded=True)
    get = request.app[SESSION].get(
        url, headers=headers, timeout=ClientTimeout(total=backend.timeout), allow_redirects=False
    )
    try:
        async with get as answer:
            return await _read(answer)
    except TimeoutError:
        return Failure(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {backend.timeout:g} s")
    except ClientError:
        return Failure(HTTPStatus.BAD_GATEWAY, "no connection, or no whole HTTP answer")


async def _read(answer: ClientResponse) -> bytes | Failure:
    if answer.status not in USABLE:
        status = answer.status if answer.status >= HTTPStatus.BAD_REQUEST else HTTPStatus.BAD_GATEWAY
        return Failure(status, f"answered with status {answer.status}")
    if answer.status == HTTPStatus.NO_CONTENT:
        return b"null"
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            return Failure(HTTPStatus.BAD_GATEWAY, f"answered with more than {MAX_ANSWER_BYTES} bytes")
    if answer.content_type in {"application/json", "text/json"} or answer.content_type.endswith("+json"):
        return _json(bytes(body), answer.charset)
    return _text(bytes(body), answer.charset) if body else b"null"


def _json(body: bytes, charset: str | None) -> bytes | Failure:
    """Checks an answer in JSON. It stays as it is, so that numbers keep all their digits, but for its encoding."""
    text = _decode(body, json.detect_encoding(body), charset)
    try:
        # Numbers stay text: Python refuses to convert an integer of over 4300 digits.
        json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return Failure(HTTPStatus.BAD_GATEWAY, "answered with what isn't JSON")
    return _encode(text.strip())


def _text(body: bytes, charset: str | None) -> bytes:
    """Makes a JSON string of an answer that isn't JSON. A byte order mark counts more than the declared charset."""
    detected = json.detect_encoding(body)
    return _encode(json.dumps(_decode(body, detected if detected in BYTE_ORDER_MARKED else None, charset)))


def _decode(body: bytes, *encodings: str | None) -> str:
    """Decodes by the first encoding that exists and fits, otherwise by UTF-8 with U+FFFD in place of wrong bytes."""
    for encoding in filter(None, encodings):
        with suppress(LookupError, ValueError):
            if codecs.lookup(encoding).name not in NO_CHARSETS:
                return body.decode(encoding)
    return body.decode("utf-8-sig", "replace")


def _encode(text: str) -> bytes:
    """Encodes JSON. Lone surrogates, which many parsers refuse, become U+FFFD if escaped, and question marks if not."""
    return ESCAPE.sub(lambda found: r"\ufffd" if found["lone"] else found[0], text).encode(errors="replace")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _combine(answers: Mapping[str, bytes | Failure]) -> web.Response:
    """Combines the answers: status 200 if there is any; if all failed, their status if they agree, otherwise 502."""
    failures = {name: answer for name, answer in answers.items() if isinstance(answer, Failure)}
    errors = {name: asdict(failure) for name, failure in failures.items()}
    results = [
        json.dumps(name).encode() + b":" + answer for name, answer in answers.items() if isinstance(answer, bytes)
    ]
    head = f'{{"complete":{json.dumps(not errors)},"errors":{json.dumps(errors)},"results":{{'.encode()
    statuses = {failure.status for failure in failures.values()}
    status = statuses.pop() if len(statuses) == 1 else HTTPStatus.BAD_GATEWAY.value
    return web.Response(
        status=HTTPStatus.OK if results else status,
        body=head + b",".join(results) + b"}}\n",
        content_type="application/json",
        # A cache must not keep an incomplete answer.
        headers={"Cache-Control": "no-store"} if errors else None,
    )


def _trace() -> None:
    """Continues the gateway's traces. Without a collector, none of these modules is loaded."""
    # ruff: noqa: PLC0415 -- see above
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    AioHttpClientInstrumentor().instrument()
    AioHttpServerInstrumentor().instrument()


def main() -> None:
    if os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        _trace()
    configuration = Configuration.parse(os.environ["AGGREGATE"])
    web.run_app(application(configuration), port=int(os.environ["PORT"]), access_log=None, print=None)


if __name__ == "__main__":
    main()
