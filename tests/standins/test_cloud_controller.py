"""The cloud controller gives a Service of type LoadBalancer its load balancer, which forwards connections."""

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.digitalocean.kubernetes.cloud_controller import FINALIZER, PREFIX, STAMP, ServiceController
from tests.standins.account import Stand, served_account
from tests.support import PATIENCE, free_port


class FakeServices:
    """The part of the Kubernetes API that the cloud controller uses: one Service, one node, merge patches."""

    def __init__(self, node_port: int, health_port: int) -> None:
        self.service: dict[str, Any] | None = {
            "metadata": {
                "name": "kong-proxy",
                "namespace": "kong",
                "uid": "0a1b2c3d-0000-4000-8000-000000000000",
                "resourceVersion": "1",
                "annotations": {
                    f"{PREFIX}type": "REGIONAL",
                    f"{PREFIX}name": "kong",
                    f"{PREFIX}healthcheck-response-timeout-seconds": str(PATIENCE),
                },
            },
            "spec": {
                "type": "LoadBalancer",
                "ports": [{"port": free_port(), "nodePort": node_port}],
                # With it the check is of a port that the test chooses, not of kube-proxy's.
                "externalTrafficPolicy": "Local",
                "healthCheckNodePort": health_port,
            },
            "status": {"loadBalancer": {}},
        }
        self.node = {
            "spec": {"providerID": "digitalocean://42"},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            },
        }
        self.client = httpx.Client(transport=httpx.MockTransport(self.answer), base_url="https://kubernetes")

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            service = [self.service] if self.service else []
            return httpx.Response(200, json={"items": [self.node] if request.url.path.endswith("nodes") else service})
        assert self.service is not None
        change = httpx.Response(200, content=request.content).json()
        if change.get("metadata", {}).get("resourceVersion", version := self.version) != version:
            return httpx.Response(409)
        merge(self.service, change)
        self.service["metadata"]["resourceVersion"] = str(int(version) + 1)
        answer = httpx.Response(200, json=self.service)
        if "deletionTimestamp" in self.service["metadata"] and not self.service["metadata"]["finalizers"]:
            self.service = None
        return answer

    @property
    def version(self) -> str:
        assert self.service is not None
        return str(self.service["metadata"]["resourceVersion"])

    @property
    def ingress(self) -> Any:  # noqa: ANN401 -- JSON
        assert self.service is not None
        return self.service["status"]["loadBalancer"].get("ingress")


def merge(target: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


@pytest.fixture
def stand() -> Iterator[Stand]:
    with served_account() as stand:
        yield stand


@pytest.fixture
def node() -> Iterator[socket.socket]:
    """A node port: a listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


class Healthy(http.server.BaseHTTPRequestHandler):
    """A node's answer to the load balancer's health check."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def health() -> Iterator[int]:
    """The port of a health check that passes."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def services(node: socket.socket, health: int) -> FakeServices:
    return FakeServices(node.getsockname()[1], health)


@pytest.fixture
def controller(stand: Stand, services: FakeServices) -> ServiceController:
    return ServiceController(
        stand.cloud.scheduler, stand.cloud.load_balancers, {"id": "c1", "region": "nyc1"}, services.client
    )


def test_a_load_balancer_is_deleted_with_its_service_object(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    controller.look()
    (balancer,) = stand.api.load_balancers.list()["load_balancers"]
    assert (balancer["name"], balancer["type"], balancer["tags"]) == ("kong", "REGIONAL", ["k8s:c1"])
    assert services.service is not None
    assert services.service["metadata"]["finalizers"] == [FINALIZER]
    assert services.service["metadata"]["annotations"][STAMP] == balancer["id"]
    assert services.ingress == [{"ip": "127.77.0.10", "ipMode": "VIP"}]
    settled = services.version
    controller.look()
    assert services.version == settled
    assert stand.ledger()["monthly"] == 12

    services.service["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    controller.look()
    assert services.service is None
    assert stand.billed() == []


def test_a_load_balancer_is_deleted_when_the_service_type_changes(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    controller.look()
    assert services.service is not None
    first = services.service["metadata"]["annotations"][STAMP]
    services.service["spec"]["type"] = "ClusterIP"
    controller.look()
    assert services.service["metadata"]["finalizers"] == []
    assert services.service["metadata"]["annotations"][STAMP] == first
    assert services.ingress is None
    assert stand.billed() == []
    services.service["spec"]["type"] = "LoadBalancer"
    for _ in range(2):
        controller.look()
    (second,) = stand.api.load_balancers.list()["load_balancers"]
    assert services.service["metadata"]["annotations"][STAMP] == second["id"] != first


def test_a_load_balancer_is_found_by_name_only_without_an_id(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    controller.look()
    (first,) = stand.api.load_balancers.list()["load_balancers"]
    assert services.service is not None
    annotations = services.service["metadata"]["annotations"]
    del annotations[STAMP]
    controller.look()
    assert annotations[STAMP] == first["id"]
    annotations[STAMP] = "of-another"
    controller.look()
    assert {balancer["name"] for balancer in stand.api.load_balancers.list()["load_balancers"]} == {"kong"}
    assert annotations[STAMP] not in (first["id"], "of-another")


def test_the_type_that_was_created_is_written_to_the_service_object(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    assert services.service is not None
    annotations = services.service["metadata"]["annotations"]
    del annotations[f"{PREFIX}type"]
    controller.look()
    (balancer,) = stand.api.load_balancers.list()["load_balancers"]
    assert annotations[f"{PREFIX}type"] == balancer["type"] == "REGIONAL_NETWORK"


def test_a_load_balancer_deleted_by_hand_is_recreated(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    stand.control("PUT", "settings", {"load_balancer_delete": 600})
    controller.look()
    (first,) = stand.api.load_balancers.list()["load_balancers"]
    stand.api.load_balancers.delete(first["id"])
    for _ in range(2):
        controller.look()
    leaving, second = stand.api.load_balancers.list()["load_balancers"]
    assert leaving["id"] == first["id"]
    assert second["ip"] != first["ip"]
    assert services.service is not None
    assert services.service["metadata"]["annotations"][STAMP] == second["id"]


def test_no_address_is_published_before_the_load_balancer_is_active(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    stand.control("PUT", "settings", {"load_balancer_create": 600})
    for _ in range(2):
        controller.look()
    assert len(stand.api.load_balancers.list()["load_balancers"]) == 1
    assert services.ingress is None


def exchange(services: FakeServices, node: socket.socket) -> bytes:
    """The bytes that a client of the load balancer sends to the node, up to its first line after the greeting."""
    assert services.service is not None
    port = services.service["spec"]["ports"][0]["port"]
    with socket.create_connection(("127.77.0.10", port), timeout=PATIENCE, source_address=("127.0.0.9", 0)) as client:
        client.sendall(b"hello\n")
        server, _ = node.accept()
        with server:
            received = b""
            while not received.endswith(b"hello\n"):
                received += server.recv(1024)
            server.sendall(b"answer")
        answer = b""
        while data := client.recv(1024):
            answer += data
        assert answer == b"answer"
    return received


def test_connections_are_forwarded_to_the_node_port(
    services: FakeServices, controller: ServiceController, node: socket.socket
) -> None:
    controller.look()
    assert exchange(services, node) == b"hello\n"


def test_the_annotation_enables_the_proxy_protocol(
    services: FakeServices, controller: ServiceController, node: socket.socket
) -> None:
    controller.look()
    assert services.service is not None
    services.service["metadata"]["annotations"][f"{PREFIX}enable-proxy-protocol"] = "true"
    controller.look()
    received = exchange(services, node)
    assert received.startswith(b"PROXY TCP4 127.0.0.9 127.77.0.10 ")
    assert received.endswith(b"\r\nhello\n")


def test_the_default_type_forwards_to_the_service_port(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    assert services.service is not None
    del services.service["metadata"]["annotations"][f"{PREFIX}type"]
    controller.look()
    (balancer,) = stand.api.load_balancers.list()["load_balancers"]
    port = services.service["spec"]["ports"][0]["port"]
    assert balancer["type"] == "REGIONAL_NETWORK"
    assert balancer["forwarding_rules"][0]["target_port"] == port
    assert stand.ledger()["monthly"] == 15
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.77.0.10", port), timeout=PATIENCE) as client,
    ):
        client.recv(1)


def test_annotations_set_the_health_check_within_digitalocean_s_bounds(
    stand: Stand, services: FakeServices, controller: ServiceController
) -> None:
    assert services.service is not None
    annotations = services.service["metadata"]["annotations"]
    controller.look()
    (balancer,) = stand.api.load_balancers.list()["load_balancers"]
    assert balancer["health_check"]["unhealthy_threshold"] == 3
    annotations[f"{PREFIX}healthcheck-unhealthy-threshold"] = "2"
    controller.look()
    (balancer,) = stand.api.load_balancers.list()["load_balancers"]
    assert balancer["health_check"]["unhealthy_threshold"] == 2
    annotations[f"{PREFIX}healthcheck-unhealthy-threshold"] = "1"
    controller.look()
    (balancer,) = stand.api.load_balancers.list()["load_balancers"]
    assert balancer["health_check"]["unhealthy_threshold"] == 2
