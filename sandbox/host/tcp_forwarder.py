"""Forwards TCP connections: between network namespaces that share no route, and from load balancers to nodes."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Target:
    """The target of connections; with `proxy_protocol` each begins with a PROXY header (version 1)."""

    host: str
    port: int
    proxy_protocol: bool = False


@dataclass(eq=False)
class Route:
    """A listener and its targets, which take turns and may change between connections."""

    listener: socket.socket
    targets: Sequence[Target]
    server: asyncio.Server | None = None
    _turn: int = 0

    def next_target(self) -> Target | None:
        targets = self.targets
        self._turn += 1
        return targets[self._turn % len(targets)] if targets else None


class TcpForwarder:
    """Serves routes in a thread of its own. Targets are reached from the network namespace of this process."""

    def __init__(self, routes: Iterable[tuple[socket.socket, Target]] = ()) -> None:
        # The event loop itself keeps no reference to the task of a connection that is half closed.
        self._connections: set[asyncio.Task[None] | None] = set()
        self._routes: set[Route] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="forwarder", daemon=True)
        self._thread.start()
        for listener, target in routes:
            self.add(listener, target)

    def add(self, listener: socket.socket, *targets: Target) -> Route:
        route = Route(listener, targets)
        self._run(self._start(route))
        return route

    def remove(self, route: Route) -> None:
        """Closes the listener. Its connections live on."""
        self._run(self._end(route))

    def stop(self) -> None:
        """Ends listeners and connections. Idempotent."""
        if self._thread.is_alive():
            self._run(self._end_all())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _start(self, route: Route) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(route.next_target(), (reader, writer))

        route.server = await asyncio.start_server(serve, sock=route.listener)
        self._routes.add(route)

    async def _end(self, route: Route) -> None:
        self._routes.discard(route)
        if route.server:
            route.server.close()

    async def _end_all(self) -> None:
        for route in list(self._routes):
            await self._end(route)
        connections = [task for task in self._connections if task]
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, target: Target | None, client: Connection) -> None:
        connection = asyncio.current_task()
        self._connections.add(connection)
        try:
            if target is None:
                raise ConnectionRefusedError
            await _pass_on(target, client)
        except* (OSError, TimeoutError):
            _reset(client[1])
        finally:
            client[1].close()
            self._connections.discard(connection)


async def _pass_on(target: Target, client: Connection) -> None:
    """Copies in both directions until both ends have closed. Raises (a group of) OSErrors: a connection failed."""
    # `wait_for` of Python 3.11 loses a cancellation that comes with the connection.
    async with asyncio.timeout(_CONNECT_SECONDS):
        server = await asyncio.open_connection(target.host, target.port)
    try:
        if target.proxy_protocol:
            here, peer = client[1].get_extra_info("sockname"), client[1].get_extra_info("peername")
            server[1].write(f"PROXY TCP4 {peer[0]} {here[0]} {peer[1]} {here[1]}\r\n".encode())
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_copy(client[0], server[1]))
            directions.create_task(_copy(server[0], client[1]))
    finally:
        server[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Resets the connection: an ordinary close would look like an empty answer."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # already closed
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
