"""A new version beside the old one receives some, all or no requests, and none fails."""

import math
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.configured import Configured, configured
from tests.e2e.stack import Stack
from tests.support import PATIENCE, eventually

GREETINGS = {app: f"Hello from the {app} microservice" for app in ("foo", "bar", "next")}
FOO: dict[str, Any] = {"name": "foo", "path": "/foo", "build": "apps/foo"}
BAR: dict[str, Any] = {"name": "bar", "path": "/bar"}
VAULT: dict[str, Any] = {"name": "vault", "path": "/vault", "rewrite": "/foo", "auth": "key-auth", "build": "apps/foo"}
API_KEY = "planted-key-of-carol"

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def following(stack: Stack) -> Iterator[None]:
    """Another app, which answers on both paths."""
    folder = stack.folder / "apps" / "next"
    shutil.copytree(stack.folder / "apps" / "foo", folder)
    app = folder / "app.py"
    app.write_text(app.read_text().replace("the foo", "the next").replace('("/foo")', '("/foo")\n@app.get("/bar")'))
    yield
    shutil.rmtree(folder)


def canary(service: dict[str, Any], weight: int) -> dict[str, Any]:
    return service | {"canary": {"build": "apps/next", "weight": weight}}


def blue_green(live: str) -> dict[str, Any]:
    return BAR | {"blueGreen": {"blue": {"build": "apps/bar"}, "green": {"build": "apps/next"}, "live": live}}


def answers(changed: Configured, path: str, count: int = 20, key: str = "") -> Counter[str]:
    """Which app answered how often."""
    with httpx.Client(base_url=f"http://{changed.address}", headers={"apikey": key}, timeout=PATIENCE) as client:
        told = Counter(client.get(path).raise_for_status().json()["msg"] for _ in range(count))
    return Counter({app: told[greeting] for app, greeting in GREETINGS.items() if greeting in told})


def becomes(changed: Configured, path: str, app: str, key: str = "") -> None:
    eventually(lambda: answers(changed, path, key=key) == {app: 20})


def share_is(changed: Configured, path: str, percent: int, asked: int = 400) -> None:
    """Within the bounds that chance would leave it in but once in 16,000 times."""
    eventually(lambda: answers(changed, path)["next"] > 0)
    told = answers(changed, path, asked)["next"]
    expected = asked * percent / 100
    assert abs(told - expected) < 4 * math.sqrt(expected * (1 - percent / 100))


@contextmanager
def nothing_but(status: int, changed: Configured, paths: Sequence[str]) -> Iterator[None]:
    """Asks on all paths throughout: no answer may have another status."""
    with ExitStack() as asking:
        statuses = {path: asking.enter_context(changed.asked_throughout(path)) for path in paths}
        yield
    counted = {path: Counter(found) for path, found in statuses.items()}
    print(counted)
    assert {path: set(found) for path, found in counted.items()} == {path: {status} for path in paths}


@pytest.mark.usefixtures("following")
def test_no_request_fails_while_versions_are_added_and_removed(stack: Stack) -> None:
    with nothing_but(200, Configured(stack), ("/foo", "/bar")), configured(stack) as changed:
        changed.up(canary(FOO, 25), blue_green("blue"))
        share_is(changed, "/foo", 25)
        becomes(changed, "/bar", "bar")
        changed.up(canary(FOO | {"timeouts": {"read": 30}}, 25), blue_green("blue"))
        changed.up(canary(FOO, 100), blue_green("green"))
        becomes(changed, "/foo", "next")
        becomes(changed, "/bar", "next")
    # Of the Gateway API nothing is left but its definitions.
    kinds = ("httproutes", "gateways", "gatewayclasses")
    assert [stack.kubernetes(kind, "-A")["items"] for kind in kinds] == [[], [], []]


@pytest.mark.usefixtures("following")
def test_a_canary_never_bypasses_auth(stack: Stack) -> None:
    with configured(stack) as changed:
        changed.set("consumers", [{"name": "carol"}])
        stack.pulumi("config", "set", "--secret", "--path", "kong-doks:consumers[0].apiKey", API_KEY)
        changed.up(VAULT)
        becomes(changed, "/vault", "foo", key=API_KEY)
        with nothing_but(401, changed, ["/vault"]):
            changed.up(canary(VAULT, 100))
            becomes(changed, "/vault", "next", key=API_KEY)
            changed.up(canary(VAULT, 0))
            becomes(changed, "/vault", "foo", key=API_KEY)
            changed.up(VAULT)
            becomes(changed, "/vault", "foo", key=API_KEY)
