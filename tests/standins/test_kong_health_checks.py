"""The stand-in for Kong's proxy checks targets as Kong does, and keeps its configuration when it is killed."""

import http.server
import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox.toolchain.build import tool
from tests.standins.gateway import Echo, Gateway, route, running, service
from tests.support import eventually, free_port, free_ports

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")


def checked(**active: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """Health checks as the controller sends them for a KongUpstreamPolicy."""
    limits = {"healthy": {"interval": 0.05, "successes": 1, "http_statuses": [200, 404]}}
    limits |= {"unhealthy": {"interval": 0.05, "tcp_failures": 2, "timeouts": 2}}
    return {"active": {"type": "http", "http_path": "/", "timeout": 60, **limits, **active}}


def test_an_unhealthy_target_gets_no_requests_until_it_passes_a_check(gateway: Gateway, echo: int) -> None:
    gone = free_port()

    def statuses() -> set[int]:
        return {gateway.client.get("/").status_code for _ in range(10)}

    def configure(**more: Any) -> None:  # noqa: ANN401 -- JSON
        targets = [{"target": f"127.0.0.1:{port}"} for port in (gone, echo)]
        upstream = {"name": "foo.svc", "targets": targets, **more}
        gateway.configure(service(80, route(paths=["/"]), host="foo.svc", retries=0), upstreams=[upstream])

    configure()
    assert statuses() == {200, 502}
    configure(healthchecks=checked())
    eventually(lambda: statuses() == {200})
    # The health of a target survives a configuration change.
    configure(healthchecks=checked(), tags=["changed"])
    assert statuses() == {200}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", gone), Echo)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        eventually(lambda: {gateway.client.get("/").json()["port"] for _ in range(10)} == {gone, echo})
        server.shutdown()


def test_without_a_healthy_target_the_response_is_503(gateway: Gateway) -> None:
    targets = [{"target": f"127.0.0.1:{port}"} for port in free_ports(2)]
    upstream = {"name": "foo.svc", "targets": targets, "healthchecks": checked()}
    gateway.configure(service(80, route(paths=["/"]), host="foo.svc"), upstreams=[upstream])
    eventually(lambda: gateway.client.get("/").status_code == 503)
    assert gateway.client.get("/").json()["message"] == "failure to get a peer from the ring-balancer"


@pytest.mark.parametrize(
    ("checks", "field"),
    [
        (checked(type="tcp"), "healthchecks.active.type"),
        ({"passive": {"unhealthy": {"timeouts": 1}}}, "passive"),
        (checked(http_path="up"), "healthchecks.active.http_path"),
        (checked(concurrency=0), "healthchecks.active.concurrency"),
        (checked(timeout=-1), "healthchecks.active.timeout"),
        (checked(unhealthy={"timeouts": 256}), "healthchecks.active.unhealthy.timeouts"),
    ],
)
def test_invalid_or_unsupported_checks_are_refused(gateway: Gateway, checks: dict[str, Any], field: str) -> None:
    answer = gateway.post({"upstreams": [{"name": "foo.svc", "healthchecks": checks}]})
    assert answer.status_code == 400
    (fault,) = answer.json()["flattened_errors"]
    assert [error["field"] for error in fault["errors"]] == [field]


def test_a_killed_gateway_restores_its_last_configuration(tmp_path: Path, echo: int) -> None:
    with running(tmp_path) as gateway:
        gateway.configure(service(echo, route(paths=["/kept"])))
        applied = gateway.admin.get("/status").json()["configuration_hash"]
        gateway.process.kill()
        gateway.process.wait()
    with running(tmp_path) as again:
        assert again.client.get("/kept").json()["path"] == "/kept"
        assert again.admin.get("/status").json()["configuration_hash"] == applied
        assert again.status.get("/status/ready").status_code == 200
