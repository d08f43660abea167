"""HTTP/1.1 over TLS in one event loop. ``h11`` reads and writes it; deadlines and bounds are ours.

Whoever is in the cluster reaches this port: connections that say nothing, or a little at a time, must cost nobody else
anything.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11

from kuma_injector_k8s.log import Log

MOST_CONNECTIONS = 128
"""With more than these, the one that has been there for longest without a request ends."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a body: a question holds one Pod, and an API server takes requests of 3 MiB at most."""
MOST_HEAD = 32 * 1024
REQUEST_SECONDS = 10.0
"""For a whole request, from its first byte on; the API server waits as long for the answer."""
IDLE_SECONDS = 120.0
"""Between two requests. The API server keeps a connection for 90 seconds."""
HANDSHAKE_SECONDS = 10.0

_BUFFER = 32 * 1024
"""Of a connection, for what was read and not deciphered yet; asyncio's own size would be eight times as much memory."""
asyncio.sslproto.SSLProtocol.max_size = _BUFFER

Reply = Callable[[str, str, bytes], Awaitable[tuple[int, bytes]]]


class _TooLarge(Exception):
    """A body with more bytes than are taken."""


class HttpsServer:
    """Serves ``reply``, which gets a method, a path and a body, and gives a code and a body."""

    def __init__(self, reply: Reply, log: Log) -> None:
        self._reply, self._log = reply, log
        self._idle: dict[asyncio.Task[None], None] = {}
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext) -> asyncio.Server:
        """Listen on an address; an empty one means all. Raises OSError."""
        return await asyncio.start_server(
            self._welcome,
            host or None,
            port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=1.0,
            limit=MOST_HEAD,
        )

    async def close(self) -> None:
        """End every connection; a request that is being answered is answered."""
        for task in list(self._idle):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=REQUEST_SECONDS)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        if len(self._open) >= MOST_CONNECTIONS:
            if not self._idle:
                writer.close()
                return
            next(iter(self._idle)).cancel()
        self._open.add(task)
        try:
            await self._talk(task, reader, writer)
        except (OSError, h11.ProtocolError, TimeoutError, asyncio.CancelledError, ssl.SSLError) as error:
            self._log.debug("a connection ended", problem=str(error) or type(error).__name__)
        finally:
            self._open.discard(task)
            self._idle.pop(task, None)
            writer.close()

    async def _talk(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        while connection.our_state is h11.IDLE:
            self._idle[task] = None
            if not connection.trailing_data[0]:  # else the next request came together with the last one
                async with asyncio.timeout(IDLE_SECONDS):
                    first = await reader.read(MOST_HEAD)
                if not first:
                    return
                connection.receive_data(first)
            self._idle.pop(task, None)
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._exchange(connection, reader, writer)
            _next_cycle(connection)

    async def _exchange(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            request, body = await _request(connection, reader, writer)
        except h11.RemoteProtocolError as error:
            await _send(connection, writer, error.error_status_hint, f"{error}\n".encode(), is_last=True)
            return
        except _TooLarge:
            await _send(connection, writer, 413, b"the body is too large\n", is_last=True)
            await _heard(reader)
            return
        path = request.target.split(b"?")[0].decode("ascii", "replace")  # the API server adds ?timeout=10s
        code, answer = await self._reply(request.method.decode("ascii"), path, body)
        await _send(connection, writer, code, b"" if request.method == b"HEAD" else answer)


def _next_cycle(connection: h11.Connection) -> None:
    """Be ready for another request, where both sides are; else the connection has ended."""
    if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
        connection.start_next_cycle()


async def _request(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[h11.Request, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            connection.receive_data(await reader.read(MOST_HEAD))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_BYTES:
                raise _TooLarge
        elif isinstance(event, h11.EndOfMessage) and request:
            return request, bytes(body)
        else:
            raise ConnectionResetError("the client is gone")


async def _heard(reader: asyncio.StreamReader) -> None:
    """Take a little of what still comes, so that the client gets to read the answer."""
    rest = 4 * MOST_BYTES
    while rest > 0 and (piece := await reader.read(MOST_HEAD)):
        rest -= len(piece)


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, code: int, body: bytes, is_last: bool = False
) -> None:
    kind = "application/json" if body[:1] == b"{" else "text/plain; charset=utf-8"
    headers = [("Content-Length", str(len(body))), ("Content-Type", kind)]
    headers += [("Connection", "close")] if is_last else []
    parts = [h11.Response(status_code=code, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
    with suppress(h11.LocalProtocolError):
        for part in parts:
            writer.write(connection.send(part) or b"")
    await writer.drain()
