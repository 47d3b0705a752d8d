"""The aggregate microservice: asks several services at once, and puts their answers together into one."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import NoReturn

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, web

LARGEST = 2**20
"""Bytes that one service may answer; all answers are in memory at once."""
PASSED_ON = ("Accept-Language", "X-Request-ID", "X-Forwarded-For", "traceparent", "tracestate")
IDENTITY = ("Authorization", "X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "X-Credential-Identifier")
"""Who asks, as the gateway has found out."""
SESSION = web.AppKey("session", ClientSession)


@dataclass(frozen=True)
class Backend:
    """A service: what it is asked, and for how many seconds."""

    url: str
    timeout: float


@dataclass(frozen=True)
class Configuration:
    """What AGGREGATE says: under which path, which services, and which of the client's headers they are told."""

    path: str
    backends: Mapping[str, Backend]
    headers: Sequence[str]

    @classmethod
    def parse(cls, text: str) -> "Configuration":
        said = json.loads(text)
        backends = {name: Backend(**backend) for name, backend in said["backends"].items()}
        identity = IDENTITY if said["identity"] else ()
        return cls(said["path"], backends, (*PASSED_ON, *identity, *said["headers"]))


@dataclass(frozen=True)
class Failure:
    """A service gave no answer that could be used; `status` is the one for the client."""

    status: int
    message: str


def application(configuration: Configuration) -> web.Application:
    async def session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession() as app[SESSION]:
            yield

    async def aggregate(request: web.Request) -> web.Response:
        answers = await asyncio.gather(
            *(_ask(request, backend, configuration.headers) for backend in configuration.backends.values())
        )
        return _together(dict(zip(configuration.backends, answers, strict=True)))

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get(configuration.path, aggregate)
    return app


async def _healthz(_: web.Request) -> web.Response:
    """Of this service alone: a service behind it that fails is a part that is missing, no reason to start again."""
    return web.json_response({"status": "ok"})


async def _ask(request: web.Request, backend: Backend, names: Sequence[str]) -> bytes | Failure:
    """What a service answers, as JSON."""
    headers = {name: value for name in names if (value := request.headers.get(name)) is not None}
    url = f"{backend.url}?{request.query_string}" if request.query_string else backend.url
    asked = request.app[SESSION].get(
        url, headers=headers, timeout=ClientTimeout(total=backend.timeout), allow_redirects=False
    )
    try:
        async with asked as answer:
            return await _read(answer)
    except TimeoutError:
        return Failure(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {backend.timeout:g} s")
    except ClientError:
        return Failure(HTTPStatus.BAD_GATEWAY, "no connection, or it broke off")


async def _read(answer: ClientResponse) -> bytes | Failure:
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        status = answer.status if answer.status >= HTTPStatus.BAD_REQUEST else HTTPStatus.BAD_GATEWAY
        return Failure(status, f"answered with status {answer.status}")
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > LARGEST:
            return Failure(HTTPStatus.BAD_GATEWAY, f"answered with more than {LARGEST} bytes")
    if answer.content_type != "application/json" and not answer.content_type.endswith("+json"):
        return json.dumps(body.decode(answer.get_encoding(), "replace")).encode() if body else b"null"
    try:
        json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Failure(HTTPStatus.BAD_GATEWAY, "answered with what isn't JSON")
    # As it came: numbers keep all their digits.
    return bytes(body.strip())


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _together(answers: Mapping[str, bytes | Failure]) -> web.Response:
    """All good: 200. Some: 200, and what is missing is named. None: their status if they agree, otherwise 502."""
    failures = {name: answer for name, answer in answers.items() if isinstance(answer, Failure)}
    errors = {name: asdict(failure) for name, failure in failures.items()}
    results = [json.dumps(name).encode() + b":" + said for name, said in answers.items() if isinstance(said, bytes)]
    head = f'{{"complete":{json.dumps(not errors)},"errors":{json.dumps(errors)},"results":{{'.encode()
    statuses = {failure.status for failure in failures.values()}
    status = statuses.pop() if len(statuses) == 1 else HTTPStatus.BAD_GATEWAY.value
    return web.Response(
        status=HTTPStatus.OK if results else status,
        body=head + b",".join(results) + b"}}\n",
        content_type="application/json",
        # Half an answer is nobody's to keep.
        headers={"Cache-Control": "no-store"} if errors else None,
    )


def _trace() -> None:
    """Continues the gateway's traces. Where nothing is traced, nothing of this is loaded."""
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
