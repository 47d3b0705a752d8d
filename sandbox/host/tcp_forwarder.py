"""Passes TCP connections on between network namespaces that share no route."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

Address = tuple[str, int]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Passes each connection that a listener gets on to the listener's target, in a thread of its own.

    A target is connected to from the network namespace of this process, wherever its listener is.
    """

    def __init__(self, routes: Sequence[tuple[socket.socket, Address]]) -> None:
        self._routes = routes
        self._end = asyncio.Event()
        # The event loop itself keeps no connection whose client has said its last from being garbage.
        self._connections: set[asyncio.Task[None] | None] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends listeners and connections. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        servers = [await asyncio.start_server(self._to(target), sock=listener) for listener, target in self._routes]
        await self._end.wait()
        for server in servers:
            server.close()

    def _to(self, target: Address) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = asyncio.current_task()
            self._connections.add(connection)
            try:
                await _pass_on(reader, writer, target)
            except* (OSError, asyncio.CancelledError):
                pass  # one of the ends broke off, or the relay closes
            finally:
                writer.close()
                self._connections.discard(connection)

        return serve


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Address) -> None:
    onward_reader, onward_writer = await asyncio.open_connection(*target)
    try:
        await both_ways((reader, writer), (onward_reader, onward_writer))
    finally:
        onward_writer.close()


async def both_ways(one: Connection, other: Connection) -> None:
    """Copies until both have said their last. Raises a group of OSErrors: one of them broke off."""
    async with asyncio.TaskGroup() as directions:
        directions.create_task(_copy(one[0], other[1]))
        directions.create_task(_copy(other[0], one[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
