"""The proxy stand-in proxies gRPC, and refuses other requests to gRPC routes, as Kong documents."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from sandbox.host.certificate_authority import Authority
from sandbox.toolchain.build import tool
from tests.standins.gateway import Gateway, route, running, service
from tests.support import PATIENCE

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")


Channel = Any  # gRPC has no types


class Greeter(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Greets once, greets everyone of a stream as they come, or fails; without a schema: messages are bytes."""

    def service(self, details: Any) -> Any:  # noqa: ANN401 -- gRPC's
        return {
            "/test.Greeter/Greet": grpc.unary_unary_rpc_method_handler(self.greet),
            "/test.Greeter/Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "/test.Greeter/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }.get(details.method)

    @staticmethod
    def greet(name: bytes, context: Any) -> bytes:  # noqa: ANN401 -- gRPC's
        context.set_trailing_metadata(
            (("consumer", dict(context.invocation_metadata()).get("x-consumer-username", "")),)
        )
        return b"hello " + name

    @staticmethod
    def chat(names: Iterator[bytes], _: Any) -> Iterator[bytes]:  # noqa: ANN401 -- gRPC's
        return (b"hello " + name for name in names)

    @staticmethod
    def fail(name: bytes, context: Any) -> bytes:  # noqa: ANN401 -- gRPC's
        context.abort(grpc.StatusCode.NOT_FOUND, f"no {name.decode()} here")
        return b""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("kong"), " http2") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def greeter() -> Iterator[int]:
    """The port of a gRPC service."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Greeter()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def configure(gateway: Gateway, port: int, *protocols: str, **more: Any) -> None:  # noqa: ANN401
    way = route(paths=["/test.Greeter"], protocols=protocols or ("grpc", "grpcs"))
    del way["strip_path"]  # as the controller does for gRPC
    gateway.configure(service(port, way, protocol="grpc", path=None), **more)


@pytest.fixture
def channel(gateway: Gateway) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        yield channel


def test_a_unary_call_is_proxied(
    gateway: Gateway,
    greeter: int,
    channel: Channel,
) -> None:
    configure(gateway, greeter)
    answer, call = channel.unary_unary("/test.Greeter/Greet").with_call(b"world", timeout=PATIENCE)
    assert answer == b"hello world"
    assert [key for key, _ in call.trailing_metadata()] == ["consumer"]
    assert "kong/" in dict(call.initial_metadata())["via"]


def test_a_stream_is_proxied_message_by_message(
    gateway: Gateway,
    greeter: int,
    channel: Channel,
) -> None:
    configure(gateway, greeter)
    answers: list[bytes] = []

    def names() -> Iterator[bytes]:
        """The next is only said when the last is answered."""
        for n in range(3):
            assert len(answers) == n
            yield str(n).encode()
            while len(answers) == n:
                threading.Event().wait(0.01)

    for answer in channel.stream_stream("/test.Greeter/Chat")(names(), timeout=PATIENCE):
        answers.append(answer)  # noqa: PERF402 -- one by one: the next name waits for it
    assert answers == [b"hello 0", b"hello 1", b"hello 2"]


def test_a_services_status_reaches_the_client(
    gateway: Gateway,
    greeter: int,
    channel: Channel,
) -> None:
    configure(gateway, greeter)
    fail = channel.unary_unary("/test.Greeter/Fail")
    for _ in range(50):  # each is a race between the headers, flushed or not, and the end of the stream
        with pytest.raises(grpc.RpcError) as failed:
            fail(b"bob", timeout=PATIENCE)
        assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.NOT_FOUND, "no bob here")


def test_plugins_reply_to_grpc_clients_with_grpc_statuses(
    gateway: Gateway,
    greeter: int,
    channel: Channel,
) -> None:
    alice = {"username": "alice", "keyauth_credentials": [{"key": "k"}]}
    configure(gateway, greeter, consumers=[alice], plugins=[{"name": "key-auth"}])
    greet = channel.unary_unary("/test.Greeter/Greet")
    _, call = greet.with_call(b"", metadata=(("apikey", "k"),), timeout=PATIENCE)
    assert dict(call.trailing_metadata())["consumer"] == "alice"
    with pytest.raises(grpc.RpcError) as refused:
        greet(b"", timeout=PATIENCE)
    assert (refused.value.code(), refused.value.details()) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "Unauthenticated",
    ), "Kong drops its own message"


def test_other_requests_to_a_grpc_route_are_refused(gateway: Gateway, greeter: int) -> None:
    configure(gateway, greeter)
    plain = gateway.client.post("/test.Greeter/Greet")
    assert (plain.status_code, plain.json()["message"]) == (415, "Non-gRPC request matched gRPC route")
    old = gateway.client.post("/test.Greeter/Greet", headers={"Content-Type": "application/grpc"})
    assert (old.status_code, old.headers["upgrade"]) == (426, "HTTP/2")
    assert old.json()["message"] == "Please use HTTP2 protocol"


def test_a_grpcs_route_requires_tls(
    gateway: Gateway,
    greeter: int,
    channel: Channel,
    tmp_path: Path,
) -> None:
    Authority(tmp_path, "test").server("mine", ["localhost"])
    certificate, key = ((tmp_path / f"mine.{kind}").read_text() for kind in ("crt", "key"))
    snis = [{"name": "localhost"}]
    configure(gateway, greeter, "grpcs", certificates=[{"cert": certificate, "key": key, "snis": snis}])
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/test.Greeter/Greet")(b"", timeout=PATIENCE)
    assert refused.value.details() == "gRPC request matched gRPCs route"
    trusted = grpc.ssl_channel_credentials(certificate.encode())
    with grpc.secure_channel(f"localhost:{gateway.tls_port}", trusted) as secured:
        assert secured.unary_unary("/test.Greeter/Greet")(b"tls", timeout=PATIENCE) == b"hello tls"


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"protocols": ["grpc", "http"]}, "protocols"), ({"protocols": ["grpc"], "strip_path": True}, "strip_path")],
)
def test_a_route_with_http_and_grpc_is_refused(gateway: Gateway, fields: dict[str, Any], field: str) -> None:
    refused = gateway.post({"services": [{"name": "s", "host": "h", "routes": [route(paths=["/"], **fields)]}]})
    (fault,) = refused.json()["flattened_errors"]
    assert [error["field"] for error in fault["errors"]] == [field]
