"""Forwarded TCP connections, with both ends on one loopback."""

import gc
import socket
import threading
from collections.abc import Iterator

import pytest

from sandbox.host.tcp_forwarder import Target, TcpForwarder
from tests.support import PATIENCE


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        yield server


@pytest.fixture
def forwarder() -> Iterator[TcpForwarder]:
    forwarder = TcpForwarder()
    yield forwarder
    forwarder.stop()


@pytest.fixture
def address(forwarder: TcpForwarder, target: socket.socket) -> tuple[str, int]:
    """The address that is forwarded to the target."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    forwarder.add(listener, Target(*target.getsockname()))
    return host, port


def _read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_half_closed_connection_still_gets_its_response(target: socket.socket, address: tuple[str, int]) -> None:
    sent = bytes(range(256)) * 20_000  # more than the sockets' buffers hold
    received: list[bytes] = []

    def answer() -> None:
        connection, _ = target.accept()
        with connection:
            received.append(_read_all(connection))
            gc.collect()
            connection.sendall(b"answer " * 200_000)

    thread = threading.Thread(target=answer)
    thread.start()
    with socket.create_connection(address, timeout=PATIENCE) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answered = _read_all(client)
    thread.join()
    assert received == [sent]
    assert answered == b"answer " * 200_000


def test_a_target_that_refuses_resets_the_connection(target: socket.socket, address: tuple[str, int]) -> None:
    target.close()
    with pytest.raises(ConnectionResetError), socket.create_connection(address, timeout=PATIENCE) as client:
        client.recv(1)


def test_stopping_a_forwarder_ends_its_connections(
    forwarder: TcpForwarder, target: socket.socket, address: tuple[str, int]
) -> None:
    with socket.create_connection(address, timeout=PATIENCE) as client:
        connection, _ = target.accept()
        forwarder.stop()
        assert client.recv(1) == b""
        with connection:
            assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=PATIENCE)
    forwarder.stop()


def test_a_removed_route_keeps_open_connections_and_refuses_new_ones(
    forwarder: TcpForwarder, target: socket.socket
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    route = forwarder.add(listener, Target(*target.getsockname()))
    with socket.create_connection(address, timeout=PATIENCE) as client:
        connection, _ = target.accept()
        forwarder.remove(route)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=PATIENCE)
        with connection:
            connection.sendall(b"still here")
            assert client.recv(20) == b"still here"


def test_targets_are_chosen_round_robin(forwarder: TcpForwarder, target: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(PATIENCE)
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        forwarder.add(listener, Target(*target.getsockname()), Target(*other.getsockname()))
        for _ in range(2):
            with (
                socket.create_connection(address, timeout=PATIENCE),
                socket.create_connection(address, timeout=PATIENCE),
            ):
                for server in (target, other):
                    server.accept()[0].close()


def test_a_listener_without_a_target_resets_connections(forwarder: TcpForwarder) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    forwarder.add(listener)
    with pytest.raises(ConnectionResetError), socket.create_connection(address, timeout=PATIENCE) as client:
        client.recv(1)
