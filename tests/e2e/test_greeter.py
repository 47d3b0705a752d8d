"""The gRPC example, called as a client would: over TLS, through the gateway."""

import ssl
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import yaml

from apps.greeter.greeter_pb2 import Greeting, Request
from sandbox.host.paths import PROJECT
from tests.e2e.configured import Configured, configured
from tests.e2e.pages import Guide
from tests.e2e.stack import Stack
from tests.support import PATIENCE, eventually

pytestmark = pytest.mark.soak

SERVICES: list[dict[str, Any]] = yaml.safe_load((PROJECT / "examples" / "grpc.yaml").read_text())["config"]["services"]
CLOSED = {"name": "closed", "path": "/closed.Greeter", "build": "apps/greeter", "protocol": "grpc", "auth": "key-auth"}
Channel = Any  # gRPC has no types


@pytest.fixture(scope="module")
def changed(stack: Stack) -> Iterator[Configured]:
    with configured(stack) as changed:
        changed.set("consumers", [{"name": "carol"}])
        stack.pulumi("config", "set", "--secret", "--path", "kong-doks:consumers[0].apiKey", "planted-key-of-carol")
        changed.up(*SERVICES, CLOSED)
        with Guide("how-to/use-grpc.md") as guide:
            assert guide.commands("grpcurl", "proxy_ip") == ""
        yield changed


@pytest.fixture
def channel(changed: Configured) -> Iterator[Channel]:
    # Kong's own certificate, as long as the gateway has no other.
    certificate = ssl.get_server_certificate((changed.address, 443)).encode()
    credentials = grpc.ssl_channel_credentials(certificate)
    options = [("grpc.ssl_target_name_override", "localhost")]
    with grpc.secure_channel(f"{changed.address}:443", credentials, options) as channel:
        yield channel


def greet(channel: Channel, **request: Any) -> Any:  # noqa: ANN401 -- protobuf's
    method = channel.unary_unary("/greeter.Greeter/Greet", Request.SerializeToString, Greeting.FromString)
    return method(Request(**request), timeout=PATIENCE)


def status(channel: Channel, method: str) -> Any:  # noqa: ANN401 -- gRPC's
    call = channel.unary_unary(method, Request.SerializeToString, Greeting.FromString)
    with pytest.raises(grpc.RpcError) as refused:
        call(Request(name="Ada"), timeout=PATIENCE)
    return refused.value.code()


def test_a_unary_call_succeeds(channel: Channel) -> None:
    # With its canary, if that has come already.
    assert greet(channel, name="Ada").text in {"Hello Ada", "Hi Ada"}


def test_a_stream_arrives_message_by_message(channel: Channel) -> None:
    method = channel.unary_stream("/greeter.Greeter/GreetOften", Request.SerializeToString, Greeting.FromString)
    arrived = [(greeting.text, time.monotonic()) for greeting in method(Request(name="Ada", times=4, milliseconds=300))]
    assert [text.partition(" ")[2] for text, _ in arrived] == [f"Ada, {number} of 4" for number in range(1, 5)]
    assert arrived[-1][1] - arrived[0][1] > 0.3, "they came at once"


def test_grpc_statuses_of_the_service_reach_the_client(channel: Channel) -> None:
    method = channel.unary_stream("/greeter.Greeter/GreetOften", Request.SerializeToString, Greeting.FromString)
    with pytest.raises(grpc.RpcError) as refused:
        list(method(Request(name="Ada", times=0), timeout=PATIENCE))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert status(channel, "/greeter.Greeter/Shout") == grpc.StatusCode.UNIMPLEMENTED


def test_a_call_without_a_key_is_unauthenticated(channel: Channel) -> None:
    eventually(lambda: status(channel, "/closed.Greeter/Greet") == grpc.StatusCode.UNAUTHENTICATED)


def test_a_canary_receives_its_share_of_calls(changed: Configured, channel: Channel) -> None:
    *others, greeter = SERVICES
    canary = {"build": "apps/greeter", "env": {"GREETING": "Hi"}, "weight": 50}
    changed.up(*others, greeter | {"canary": canary}, CLOSED)
    (backends,) = [rule["backendRefs"] for rule in changed.stack.kubernetes("httproute", "greeter")["spec"]["rules"]]
    # Each name ends with a hash.
    assert {backend["name"].rpartition("-")[0]: backend["weight"] for backend in backends} == {
        "greeter": 5000,
        "greeter-canary": 5000,
    }
    eventually(lambda: {greet(channel, name="Ada").text for _ in range(50)} == {"Hello Ada", "Hi Ada"})
