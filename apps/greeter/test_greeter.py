"""The answers of the greeter microservice."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from apps.greeter import app
from apps.greeter.app import server
from apps.greeter.greeter_pb2 import Greeting, Request

Channel = Any  # gRPC has no types


@pytest.fixture
def channel() -> Iterator[Channel]:
    running, port = server(0)
    running.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    running.stop(None).wait()


def test_the_greeting_contains_the_name(channel: Channel) -> None:
    greet = channel.unary_unary("/greeter.Greeter/Greet", Request.SerializeToString, Greeting.FromString)
    assert greet(Request(name="Ada"), timeout=60) == Greeting(text="Hello Ada")


def test_the_greeting_is_configurable(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "GREETING", "Hi")
    greet = channel.unary_unary("/greeter.Greeter/Greet", Request.SerializeToString, Greeting.FromString)
    assert greet(Request(name="Ada"), timeout=60) == Greeting(text="Hi Ada")


def test_a_stream_has_the_requested_number_of_greetings(channel: Channel) -> None:
    greet = channel.unary_stream("/greeter.Greeter/GreetOften", Request.SerializeToString, Greeting.FromString)
    told = [greeting.text for greeting in greet(Request(name="Ada", times=3), timeout=60)]
    assert told == ["Hello Ada, 1 of 3", "Hello Ada, 2 of 3", "Hello Ada, 3 of 3"]


@pytest.mark.parametrize("times", [0, 1001])
def test_an_invalid_count_is_rejected(channel: Channel, times: int) -> None:
    greet = channel.unary_stream("/greeter.Greeter/GreetOften", Request.SerializeToString, Greeting.FromString)
    with pytest.raises(grpc.RpcError) as refused:
        list(greet(Request(name="Ada", times=times), timeout=60))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "times: from 1 to 1000"
