"""What the aggregate microservice makes of several services' answers."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer, unused_port

from apps.aggregate.app import LARGEST, Configuration, application


async def good(request: web.Request) -> web.Response:
    return web.json_response({"path": request.path, "query": dict(request.query), "headers": dict(request.headers)})


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(0.3)
    return web.json_response("slow")


async def slower(_: web.Request) -> web.Response:
    await asyncio.sleep(2)
    return web.json_response("never seen")


async def trickle(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(20):
        await asyncio.sleep(0.1)
        await answer.write(b" ")
    return answer


async def missing(_: web.Request) -> web.Response:
    return web.json_response({"secret": "of the service"}, status=404)


async def broken(_: web.Request) -> web.Response:
    return web.Response(body=b'{"half": ', content_type="application/json")


async def not_a_number(_: web.Request) -> web.Response:
    return web.Response(body=b"NaN", content_type="application/json")


async def exact(_: web.Request) -> web.Response:
    return web.Response(body=b"1.00000000000000000001", content_type="application/vnd.example+json")


async def text(_: web.Request) -> web.Response:
    return web.Response(text='said "hello"')


async def nothing(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def large(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * (LARGEST + 1))


async def moved(_: web.Request) -> web.Response:
    raise web.HTTPFound("/good")


async def hangs_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


HANDLERS: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    handler.__name__: handler
    for handler in (
        good,
        slow,
        slower,
        trickle,
        missing,
        broken,
        not_a_number,
        exact,
        text,
        nothing,
        large,
        moved,
        hangs_up,
    )
} | {"slow_too": slow, "slow_as_well": slow}


class Answer:
    def __init__(self, response: ClientResponse, body: str, seconds: float) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.seconds = seconds

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


def ask(
    *names: str,
    identity: bool = False,
    path: str = "/overview",
    timeout: float = 0.5,
    **client: Any,  # noqa: ANN401 -- aiohttp's own options
) -> Answer:
    """Asks an aggregate of the services `names`, which answer as the handlers of that name; `gone` isn't there."""

    async def asked() -> Answer:
        services = web.Application()
        for name, handler in HANDLERS.items():
            services.router.add_get(f"/{name}", handler)
        async with TestServer(services) as server:
            urls = {name: str(server.make_url(f"/{name}")) for name in names}
            if "gone" in urls:
                urls["gone"] = f"http://127.0.0.1:{unused_port()}/"
            said = {
                "path": "/overview",
                "backends": {name: {"url": url, "timeout": timeout} for name, url in urls.items()},
                "identity": identity,
                "headers": ["X-Tenant"],
            }
            app = application(Configuration.parse(json.dumps(said)))
            async with TestClient(TestServer(app)) as asker:
                begun = time.perf_counter()
                response = await asker.get(path, **client)
                body = await response.text()
                return Answer(response, body, time.perf_counter() - begun)

    return asyncio.run(asked())


def test_answers_are_put_together_under_the_services_names() -> None:
    answer = ask("good", "text", "nothing")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert "Cache-Control" not in answer.headers
    assert answer.json["complete"] is True
    assert answer.json["errors"] == {}
    assert list(answer.json["results"]) == ["good", "text", "nothing"]
    assert answer.json["results"]["good"]["path"] == "/good"
    assert answer.json["results"]["text"] == 'said "hello"'
    assert answer.json["results"]["nothing"] is None


def test_services_are_asked_at_once() -> None:
    answer = ask("slow", "slow_too", "slow_as_well")
    assert answer.json["complete"] is True
    assert answer.seconds < 2 * 0.3, "less than two after the other"


def test_what_is_missing_is_named_and_the_rest_is_there() -> None:
    answer = ask("good", "slower", "missing", "gone")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["complete"] is False
    assert list(answer.json["results"]) == ["good"]
    assert answer.json["errors"] == {
        "slower": {"status": 504, "message": "no answer within 0.5 s"},
        "missing": {"status": 404, "message": "answered with status 404"},
        "gone": {"status": 502, "message": "no connection, or it broke off"},
    }
    assert answer.seconds < 1


def test_an_answer_that_trickles_in_is_late_too() -> None:
    assert ask("good", "trickle").json["errors"]["trickle"]["status"] == 504


@pytest.mark.parametrize("name", ["broken", "not_a_number", "large", "moved", "hangs_up"])
def test_an_answer_that_is_of_no_use_is_missing(name: str) -> None:
    answer = ask("good", name)
    assert answer.json["errors"][name]["status"] == 502
    assert list(answer.json["results"]) == ["good"]


def test_an_answer_in_json_stays_as_it_is() -> None:
    assert '"exact":1.00000000000000000001' in ask("exact").body


@pytest.mark.parametrize(
    ("names", "status"),
    [(("slower",), 504), (("missing",), 404), (("gone", "broken"), 502), (("missing", "slower"), 502)],
)
def test_if_all_fail_so_does_the_whole(names: tuple[str, ...], status: int) -> None:
    answer = ask(*names)
    assert answer.status == status
    assert answer.json["complete"] is False
    assert set(answer.json["errors"]) == set(names)


def test_the_query_is_passed_on() -> None:
    assert ask("good", params={"page": "2"}).json["results"]["good"]["query"] == {"page": "2"}


@pytest.mark.parametrize("identity", [True, False])
def test_services_are_told_who_asks_only_where_the_gateway_knows(*, identity: bool) -> None:
    always = {"X-Request-ID": "1", "traceparent": "00-1-2-01", "Accept-Language": "de", "X-Tenant": "ours"}
    who = {"Authorization": "Bearer x", "X-Consumer-Username": "alice"}
    never = {"Cookie": "session=1", "X-Other": "1"}
    seen = ask("good", identity=identity, headers=always | who | never).json["results"]["good"]["headers"]
    assert always.items() <= seen.items()
    assert (who.items() <= seen.items()) == identity
    assert not (set(who) & set(seen)) or identity
    assert not set(never) & set(seen)


def test_it_is_healthy_whatever_its_services_are() -> None:
    assert ask("gone", path="/healthz").status == 200


def test_it_answers_nothing_else() -> None:
    assert ask("good", path="/overview/more").status == 404


@pytest.mark.parametrize("text", ["", "{}", '{"path": "/", "backends": {"foo": {}}, "identity": false, "headers": []}'])
def test_it_does_not_start_without_knowing_whom_to_ask(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Configuration.parse(text)
