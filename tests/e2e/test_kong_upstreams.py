"""The proxy stand-in chooses among an upstream's targets, and leaves out the sick, as Kong documents."""

import http.server
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.paths import tool
from tests.e2e.gateway import Echo, Gateway, running, served
from tests.e2e.test_kong_proxy import route, service

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"real_ip_header": "X-Real-IP", "trusted_ips": "127.0.0.0/8"}
    with running(tmp_path_factory.mktemp("kong"), **settings) as gateway:
        yield gateway


@pytest.fixture
def echoes() -> Iterator[list[int]]:
    with ExitStack() as stack:
        yield [stack.enter_context(served()) for _ in range(3)]


class Patient(Echo):
    """Answers 503 while it is sick; counts how often it is asked."""

    sick = False
    asked: Counter[str]

    def do_GET(self) -> None:  # noqa: N802 -- the base class's name
        type(self).asked[self.path] += 1
        if type(self).sick:
            self.send_error(503)
        else:
            super().do_GET()


def patient() -> type[Patient]:
    return type("OnePatient", (Patient,), {"asked": Counter()})


def configure(gateway: Gateway, name: str, ports: list[int], *routes: dict[str, Any], **upstream: Any) -> None:  # noqa: ANN401
    """One service at an upstream of these targets. The name is the test's own: health outlives a configuration."""
    targets = [{"target": f"127.0.0.1:{port}", "weight": 100} for port in ports]
    gateway.configure(
        service(80, *(routes or (route(paths=["/"]),)), host=name, retries=0),
        upstreams=[{"name": name, "targets": targets, **upstream}],
    )


def port_of(gateway: Gateway, path: str = "/", **headers: str) -> int | None:
    """The port of the target that answered."""
    answer = gateway.client.get(path, headers=headers)
    return answer.json()["port"] if answer.status_code == 200 else None


def test_a_hash_sends_the_same_client_to_the_same_target_and_all_targets_get_some(
    gateway: Gateway, echoes: list[int]
) -> None:
    for hashing, key in (
        ({"hash_on": "ip"}, "X-Real-IP"),
        ({"hash_on": "header", "hash_on_header": "X-Session"}, "X-Session"),
        ({"hash_on": "consumer", "hash_fallback": "ip"}, "X-Real-IP"),
    ):
        configure(gateway, "hashed", echoes, algorithm="consistent-hashing", **hashing)
        first = {n: port_of(gateway, **{key: f"203.0.113.{n}"}) for n in range(40)}
        again = {n: port_of(gateway, **{key: f"203.0.113.{n}"}) for n in range(40)}
        assert first == again
        assert set(first.values()) == set(echoes)
        configure(gateway, "hashed", echoes[:2], algorithm="consistent-hashing", **hashing)
        moved = {n for n in first if port_of(gateway, **{key: f"203.0.113.{n}"}) != first[n]}
        assert moved == {n for n, port in first.items() if port == echoes[2]}, "only who was there has to move"


def test_the_target_with_the_fewest_requests_under_way_is_next(gateway: Gateway, echoes: list[int]) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrived.set()
            go_on.wait(10)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with served(Slow) as slow:
        configure(gateway, "fewest", [slow, echoes[0]], algorithm="least-connections")
        waiting = threading.Thread(target=lambda: gateway.client.get("/"))
        waiting.start()
        assert arrived.wait(10)
        try:
            assert {port_of(gateway) for _ in range(10)} == {echoes[0]}
        finally:
            go_on.set()
            waiting.join()


def test_a_target_that_fails_requests_gets_no_more_of_them(gateway: Gateway, echoes: list[int]) -> None:
    """Passive checks count what requests meet, and take nobody back by themselves."""
    sick = patient()
    with served(sick) as port:
        passive = {"type": "http", "unhealthy": {"http_failures": 2}}
        configure(gateway, "passive", [port, echoes[0]], healthchecks={"passive": passive})
        sick.sick = True
        for _ in range(20):
            port_of(gateway)
        sick.sick = False
        assert sick.asked["/"] == 2
        configure(
            gateway,
            "passive",
            [port, echoes[0]],
            route(paths=["/"], name="other"),
            healthchecks={"passive": passive},
        )
        assert {port_of(gateway) for _ in range(6)} == {echoes[0]}, "a new configuration doesn't forget"
        configure(gateway, "passive", [port, echoes[0]])
        assert {port_of(gateway) for _ in range(6)} == {port, echoes[0]}, "without checks everyone is asked"


def test_failures_count_only_in_a_row_if_successes_count(gateway: Gateway) -> None:
    sick = patient()
    with served(sick) as port:
        passive = {"healthy": {"successes": 1}, "unhealthy": {"http_failures": 2}}
        configure(gateway, "in-a-row", [port], healthchecks={"passive": passive})
        answers = []
        for sick.sick in (True, False, True, False, True, True, False):
            answers.append(gateway.client.get("/").status_code)
    assert answers == [503, 200, 503, 200, 503, 503, 503], "the last: there is no peer any more"


def test_an_upstream_whose_targets_are_all_sick_has_no_peer(gateway: Gateway) -> None:
    sick = patient()
    sick.sick = True
    with served(sick) as port:
        healthchecks = {"passive": {"unhealthy": {"http_failures": 1}}}
        configure(gateway, "all-sick", [port], healthchecks=healthchecks)
        first, second = gateway.client.get("/"), gateway.client.get("/")
    assert (first.status_code, "x-kong-upstream-latency" in first.headers) == (503, True)
    assert (second.status_code, second.json()["message"]) == (503, "failure to get a peer from the ring-balancer")


def test_probes_take_a_target_out_and_back_in(gateway: Gateway, echoes: list[int]) -> None:
    probed = patient()
    with served(probed) as port:
        active = {
            "http_path": "/healthz",
            "healthy": {"interval": 0.02, "successes": 2},
            "unhealthy": {"interval": 0.02, "http_failures": 2, "tcp_failures": 2, "timeouts": 2},
        }
        configure(gateway, "active", [port, echoes[0]], healthchecks={"active": active})
        assert {port_of(gateway) for _ in range(6)} == {port, echoes[0]}
        probed.sick = True
        until(lambda: {port_of(gateway) for _ in range(6)} == {echoes[0]})
        probed.sick = False
        until(lambda: {port_of(gateway) for _ in range(6)} == {port, echoes[0]})
        configure(gateway, "active", [port, echoes[0]])
        until(lambda: quiet(probed))


def test_a_service_may_answer_before_it_has_read_a_request(gateway: Gateway) -> None:
    class Hasty(http.server.BaseHTTPRequestHandler):
        wbufsize = 1 << 16  # head and body at once: what it hasn't read may break the connection off between them

        def do_POST(self) -> None:
            self.send_response(409)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hasty")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

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


def until(done: Callable[[], bool]) -> None:
    for _ in range(2000):
        if done():
            return
        threading.Event().wait(0.01)
    pytest.fail("not in 20 seconds")


def quiet(probed: type[Patient]) -> bool:
    """Nothing asks for some intervals' time."""
    before = probed.asked["/healthz"]
    threading.Event().wait(0.2)
    return probed.asked["/healthz"] == before
