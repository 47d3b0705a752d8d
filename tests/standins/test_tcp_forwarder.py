"""What passes connections on, to the node and from load balancers, with both ends on one loopback."""

import gc
import socket
import threading
from collections.abc import Iterator

import pytest

from sandbox.digitalocean.load_balancers import Forwarder, Target
from sandbox.host.tcp_forwarder import Relay


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


@pytest.fixture
def relay(target: socket.socket) -> Iterator[tuple[Relay, tuple[str, int]]]:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    relay = Relay([(listener, target.getsockname())])
    yield relay, address
    relay.close()


@pytest.fixture
def balancer(target: socket.socket) -> Iterator[tuple[str, int]]:
    """The address of a load balancer's port."""
    forwarder = Forwarder()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host, port = probe.getsockname()
    there, behind = target.getsockname()
    forwarder.serve(host, {port: Target(there, behind, proxy_protocol=False)})
    yield host, port
    forwarder.stop()


def _read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("way", ["relay", "balancer"])
def test_what_a_client_says_until_it_ends_arrives_and_is_answered(
    request: pytest.FixtureRequest, target: socket.socket, way: str
) -> None:
    found = request.getfixturevalue(way)
    address = found[1] if way == "relay" else found
    sent = bytes(range(256)) * 20_000  # more than the sockets' buffers hold
    heard: list[bytes] = []

    def answer() -> None:
        connection, _ = target.accept()
        with connection:
            heard.append(_read_all(connection))
            gc.collect()
            connection.sendall(b"answer " * 200_000)

    thread = threading.Thread(target=answer)
    thread.start()
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answered = _read_all(client)
    thread.join()
    assert heard == [sent]
    assert answered == b"answer " * 200_000


def test_a_target_that_is_not_there_ends_the_connection(
    relay: tuple[Relay, tuple[str, int]], target: socket.socket
) -> None:
    target.close()
    with socket.create_connection(relay[1], timeout=10) as client:
        assert client.recv(1) == b""


def test_a_closed_relay_has_ended_its_connections_and_listens_no_more(
    relay: tuple[Relay, tuple[str, int]], target: socket.socket
) -> None:
    with socket.create_connection(relay[1], timeout=10) as client:
        connection, _ = target.accept()
        relay[0].close()
        assert client.recv(1) == b""
        with connection:
            assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(relay[1], timeout=10)
    relay[0].close()
