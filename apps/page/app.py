"""The page of the gateway: its services with their routes, policies and health, and its versions."""

import asyncio
import base64
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from jinja2 import Environment, StrictUndefined

HEALTHY = "healthy"
TIMEOUT = 2
"""Seconds for one check, as for the kubelet's probes."""
CONCURRENT_CHECKS = 50
INTERVAL = 2
"""Seconds for which results are reused, so that many visitors cause no more checks than one."""
_TEMPLATE = Path(__file__).with_name("page.html").read_text()


class Target(NamedTuple):
    """The Service object of one version, and the HTTP path of its probe; None: the probe only connects."""

    host: str
    port: int
    probe: str | None


class Checks:
    """The health of the targets, checked when it is asked for."""

    def __init__(self, targets: Sequence[Target], session: ClientSession) -> None:
        self._targets = targets
        self._session = session
        self._lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(CONCURRENT_CHECKS)
        self._checked = -float("inf")
        self._results: dict[Target, str] = {}
        self._time = datetime.min.replace(tzinfo=UTC)

    async def results(self) -> tuple[dict[Target, str], datetime]:
        """Returns what each target answered, and when."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._checked >= INTERVAL:
                self._time = datetime.now(UTC)
                answers = await asyncio.gather(*map(self._check, self._targets))
                self._results = dict(zip(self._targets, answers, strict=True))
                self._checked = asyncio.get_running_loop().time()
            return self._results, self._time

    async def _check(self, target: Target) -> str:
        async with self._slots:
            try:
                return await (self._get if target.probe else self._connect)(target)
            except (TimeoutError, ClientError, OSError):
                return "no answer"

    async def _get(self, target: Target) -> str:
        url = f"http://{target.host}:{target.port}{target.probe}"
        async with self._session.get(url, allow_redirects=False) as answer:
            is_healthy = HTTPStatus.OK <= answer.status < HTTPStatus.BAD_REQUEST  # as the kubelet decides
            return HEALTHY if is_healthy else f"status {answer.status}"

    @staticmethod
    async def _connect(target: Target) -> str:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(target.host, target.port)
        writer.close()
        return HEALTHY


CHECKS = web.AppKey("checks", Checks)


def application(content: dict[str, Any]) -> web.Application:
    """Returns the app that serves the page at `content["path"]`."""
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_TEMPLATE)
    targets = {
        version["name"]: Target(version["host"], version["port"], version["probe"])
        for service in content["services"]
        for version in service["versions"]
    }

    async def checks(app: web.Application) -> AsyncIterator[None]:
        # A connection that is kept would lead to the same pod each time.
        connector = TCPConnector(limit=0, force_close=True)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=TIMEOUT)) as session:
            app[CHECKS] = Checks([*targets.values()], session)
            yield

    async def page(request: web.Request) -> web.Response:
        results, time = await request.app[CHECKS].results()
        health = {name: results[target] for name, target in targets.items()}
        html = template.render(content, health=health, healthy=HEALTHY, time=f"{time:%Y-%m-%d %H:%M:%S} UTC")
        return web.Response(text=html, content_type="text/html", headers=_HEADERS)

    app = web.Application()
    app.cleanup_ctx.append(checks)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get(content["path"], page)
    return app


async def _healthz(_: web.Request) -> web.Response:
    """Answers for this process alone: a service that fails is what the page shows."""
    return web.json_response({"status": "ok"})


def _style_hash() -> str:
    (style,) = re.findall(r"<style>(.*?)</style>", _TEMPLATE, re.DOTALL)
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_style_hash()}'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def main() -> None:
    content = json.loads(os.environ["PAGE"])
    web.run_app(application(content), port=int(os.environ["PORT"]), access_log=None, print=None)


if __name__ == "__main__":
    main()
