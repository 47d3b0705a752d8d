"""The page for services that are healthy, fail, redirect, never answer or are gone."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port

from apps.page import app as page_app
from apps.page.app import application


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services that answer may be as slow as the machine; no test waits for so long unless it fails."""
    monkeypatch.setattr(page_app, "TIMEOUT", 120)


FINISHED = web.AppKey("finished", asyncio.Event)
PROBED = web.AppKey("probed", list[str])


async def ok(_: web.Request) -> web.Response:
    return web.Response()


async def moved(_: web.Request) -> web.Response:
    raise web.HTTPFound("/broken")


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=503, text="a secret of the service")


async def never(request: web.Request) -> web.Response:
    await request.app[FINISHED].wait()
    return web.Response()


HANDLERS: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    handler.__name__: handler for handler in (ok, moved, broken, never)
}


class Page:
    """The page's client, and the paths that its checks requested."""

    def __init__(self, client: TestClient[web.Request, web.Application], probed: list[str]) -> None:
        self.client = client
        self.probed = probed

    async def tree(self) -> ET.Element:
        """The document, which is well-formed XML as well."""
        answer = await self.client.get("/")
        assert answer.status == 200
        return ET.fromstring((await answer.text()).partition("<!DOCTYPE html>\n")[2])  # noqa: S314 -- ours

    async def health(self) -> list[str]:
        return [text_of(cell) for cell in (await self.tree()).findall(".//tbody/tr/td[2]//li")]


def text_of(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def service(name: str, *versions: tuple[str, int, str, int, str | None], policies: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 -- JSON
    keys = ("name", "weight", "host", "port", "probe")
    return {
        "name": name,
        "path": f"/{name}",
        "policies": [*policies],
        "versions": [dict(zip(keys, version, strict=True)) for version in versions],
    }


@asynccontextmanager
async def served(
    content: Callable[[int], list[Any]], policies: tuple[str, ...] = (), path: str = "/"
) -> AsyncIterator[Page]:
    """Serves the page for what `content` makes of the services' port."""

    @web.middleware
    async def keep(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401 -- aiohttp's own type
        request.app[PROBED].append(request.path)
        response: web.StreamResponse = await handler(request)
        return response

    services = web.Application(middlewares=[keep])
    services[FINISHED] = asyncio.Event()
    services[PROBED] = []
    for name, handler in HANDLERS.items():
        services.router.add_get(f"/{name}", handler)
    async with TestServer(services) as server:
        assert server.port
        settings = {
            "path": path,
            "versions": {"Kong": "3.9.3"},
            "policies": [*policies],
            "services": content(server.port),
        }
        async with TestClient(TestServer(application(settings))) as client:
            yield Page(client, services[PROBED])
            services[FINISHED].set()


def single(*names: str) -> Callable[[int], list[Any]]:
    return lambda port: [service(name, (name, 100, "127.0.0.1", port, f"/{name}")) for name in names]


def test_the_page_shows_what_each_service_answers() -> None:
    async def shown() -> list[str]:
        async with served(single("ok", "moved", "broken")) as page:
            return await page.health()

    assert asyncio.run(shown()) == ["healthy", "healthy", "status 503"]


def test_a_service_that_never_answers_does_not_keep_the_page_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_app, "TIMEOUT", 0.3)

    async def shown() -> list[str]:
        async with served(single("ok", "never")) as page:
            return await page.health()

    # On a busy machine the other may be late, too.
    assert asyncio.run(shown())[1] == "no answer"


def test_a_service_without_an_http_probe_is_checked_by_tcp() -> None:
    closed = unused_port()

    async def shown() -> list[str]:
        async with served(
            lambda port: [
                service("open", ("open", 100, "127.0.0.1", port, None)),
                service("gone", ("gone", 100, "127.0.0.1", closed, None)),
                service("refused", ("refused", 100, "127.0.0.1", closed, "/ok")),
                service("unknown", ("unknown", 100, "unknown.invalid", port, "/ok")),
            ]
        ) as page:
            return await page.health()

    assert asyncio.run(shown()) == ["healthy", *["no answer"] * 3]


def test_each_version_has_its_weight_and_health() -> None:
    async def shown() -> list[str]:
        async with served(
            lambda port: [
                service("foo", ("foo", 90, "127.0.0.1", port, "/ok"), ("foo-canary", 10, "127.0.0.1", port, "/broken"))
            ]
        ) as page:
            return await page.health()

    assert asyncio.run(shown()) == ["foo 90 % healthy", "foo-canary 10 % status 503"]


def test_the_page_lists_routes_policies_and_versions() -> None:
    async def tree() -> ET.Element:
        content = single("ok")
        async with served(
            lambda port: [content(port)[0] | {"policies": ["auth: jwt", "<script>"]}], ("requestId",)
        ) as page:
            return await page.tree()

    found = asyncio.run(tree())
    assert [link.get("href") for link in found.iter("a")] == ["/ok"]
    assert [text_of(element) for element in found.iter("small")] == ["auth: jwt", "<script>"]
    assert [text_of(element) for element in found.findall(".//section[2]//li")] == ["requestId"]
    assert text_of(found.findall(".//dl")[0]) == "Kong3.9.3"
    assert list(found.iter("script")) == []
    headings = [element.tag for element in found.iter() if re.fullmatch(r"h\d", element.tag)]
    assert headings == ["h1", "h2", "h2", "h2"]
    assert [element.get("scope") for element in found.iter("th")] == ["col", "col", "col", "row"]


def test_a_gateway_without_services_has_a_page() -> None:
    async def shown() -> list[str]:
        async with served(lambda _: []) as page:
            return [text_of(row) for row in (await page.tree()).findall(".//tbody/tr")]

    assert asyncio.run(shown()) == ["No services"]


def test_many_visitors_cause_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_app, "INTERVAL", 3600)

    async def probed() -> list[str]:
        async with served(single("ok")) as page:
            await asyncio.gather(*(page.tree() for _ in range(20)))
            return page.probed

    assert asyncio.run(probed()) == ["/ok"]


def test_a_later_visitor_sees_a_new_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_app, "INTERVAL", 0)

    async def probed() -> list[str]:
        async with served(single("ok")) as page:
            await page.tree()
            await page.tree()
            return page.probed

    assert asyncio.run(probed()) == ["/ok", "/ok"]


def test_the_page_loads_no_external_resource() -> None:
    async def answered() -> tuple[str, Mapping[str, str]]:
        async with served(single("ok")) as page:
            answer = await page.client.get("/")
            return await answer.text(), answer.headers

    html, headers = asyncio.run(answered())
    assert re.findall(r"\bsrc=|\burl\(|@import|<link|https?://", html) == []
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{hashed}'; frame-ancestors 'none'"
    assert headers["Content-Security-Policy"] == expected
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_the_app_serves_its_path_and_its_own_health_only() -> None:
    async def statuses() -> list[int]:
        async with served(single("broken"), path="/status") as page:
            return [
                (await page.client.request(method, path)).status
                for method, path in (("GET", "/status"), ("HEAD", "/status"), ("GET", "/healthz"), ("GET", "/"))
            ] + [(await page.client.post("/status")).status]

    assert asyncio.run(statuses()) == [200, 200, 200, 404, 405]
