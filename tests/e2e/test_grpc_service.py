"""A gRPC service behind the gateway."""

import re
import shutil
import ssl
from collections.abc import Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest

from tests.e2e.configured import configured
from tests.e2e.stack import Stack

pytestmark = pytest.mark.soak

APP = """
import os
from concurrent.futures import ThreadPoolExecutor

import grpc


class Greeter(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/demo.Greeter/Greet": grpc.unary_unary_rpc_method_handler(lambda name, _: b"hello " + name),
            "/demo.Greeter/Chat": grpc.stream_stream_rpc_method_handler(
                lambda names, _: (b"hello " + name for name in names)
            ),
        }.get(details.method)


server = grpc.server(ThreadPoolExecutor(4), handlers=[Greeter()])
server.add_insecure_port(f"[::]:{os.environ['PORT']}")
server.start()
server.wait_for_termination()
"""


@pytest.fixture(scope="module")
def channel(stack: Stack) -> Iterator[Any]:
    """A connection to the gateway's TLS port, with a service for gRPC behind it."""
    folder = stack.folder / "apps" / "greeter"
    shutil.copytree(stack.folder / "apps" / "foo", folder)
    (folder / "app.py").write_text(APP)
    dockerfile = (folder / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(re.sub(r"^CMD .*", 'CMD ["python", "app.py"]', dockerfile, flags=re.MULTILINE))
    locked = (stack.folder / "requirements.txt").read_text()
    needed = re.findall(r"^(?:grpcio|typing-extensions)==[^\\\n]*(?:\\\n +--hash[^\\\n]*)+", locked, re.MULTILINE)
    (folder / "requirements.txt").write_text("\n".join(needed))
    with configured(stack) as changed:
        changed.up({"name": "greeter", "path": "/demo.Greeter", "build": "apps/greeter", "protocol": "grpc"})
        # Kong's own certificate, until the gateway has one.
        certificate = ssl.get_server_certificate((changed.address, 443)).encode()
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(
            f"{changed.address}:443", grpc.ssl_channel_credentials(certificate), options
        ) as channel:
            yield channel
    shutil.rmtree(folder)


def test_one_message_is_answered_with_one(channel: Any) -> None:  # noqa: ANN401 -- gRPC's
    greet = channel.unary_unary("/demo.Greeter/Greet")
    assert greet(b"world", timeout=30, wait_for_ready=True) == b"hello world"


def test_a_stream_is_answered_with_a_stream(channel: Any) -> None:  # noqa: ANN401 -- gRPC's
    chat = channel.stream_stream("/demo.Greeter/Chat")
    answers = list(chat(iter([b"a", b"b", b"c"]), timeout=30, wait_for_ready=True))
    assert answers == [b"hello a", b"hello b", b"hello c"]
