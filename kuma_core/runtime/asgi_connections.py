"""Connections of uvicorn with deadlines and bounds: for handshakes, heads, and answers that nobody reads.

uvicorn knows a deadline for idle connections alone, and asyncio accepts without end.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kuma_core.runtime import descriptors
from kuma_core.runtime.http_deadlines import ANSWER_SECONDS, HEAD_SECONDS

_log = structlog.get_logger("https")

HANDSHAKE_SECONDS = 10.0
LAST_WORD_SECONDS = 5.0
"""How long a connection that is closed may take to send what is left."""

_PAUSE_SECONDS, _NEWS_SECONDS = 0.5, 60.0


class Protocol(H11Protocol):
    """A connection that ends unless its client says what it wants, and takes what it gets, in time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.since = time.monotonic()
        self.make_room: Callable[[], None] = lambda: None
        self._head: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether no request is at work."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request has to come."""
        self.make_room()
        super().connection_made(transport)
        if certificate := _certificate(transport):
            self.app_state = {**self.app_state, "certificate": certificate}
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; those of a head that is not complete buy no time."""
        super().data_received(data)
        self._expect_head()

    def _expect_head(self) -> None:
        if not self.waits:
            _cancel(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.end)

    def on_response_complete(self) -> None:
        """Read again, also what nobody waits for: uvicorn pauses at a body that the app has not read to its end, or has
        read in large pieces, and TLS waits for ever for the other side's last word before it closes."""
        self.since = time.monotonic()
        self.flow.resume_reading()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came in a while."""
        self.end()

    def pause_writing(self) -> None:
        """The client has to take what waits for it."""
        super().pause_writing()
        _cancel(self._answer)
        self._answer = self.loop.call_later(ANSWER_SECONDS, self.end)

    def resume_writing(self) -> None:
        """It did."""
        super().resume_writing()
        _cancel(self._answer)

    def end(self) -> None:
        """Close the connection, whether its client likes it or not."""
        self.transport.close()
        self.loop.call_later(LAST_WORD_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        _cancel(self._head)
        _cancel(self._answer)
        super().connection_lost(exc)


def _certificate(transport: asyncio.Transport) -> str:
    """Whom the client's certificate names, and its number, which ``openssl x509 -serial`` shows; empty without one."""
    tls = transport.get_extra_info("ssl_object")
    found = (tls and tls.getpeercert()) or {}
    names = [f"{key}={value}" for part in found.get("subject", ()) for key, value in part]
    return ", ".join([*names, f"serial={found['serialNumber']}"]) if found else ""


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class Pace:
    """Lets in so many a second in the long run, and twice as many at once after a rest; 0 stands for no bound.

    Clients that come back again and again would take the interpreter from whoever configures proxies.
    """

    def __init__(self, a_second: int) -> None:
        self._rate, self._most = a_second, 2.0 * a_second
        self._left, self._counted = self._most, time.monotonic()

    async def wait(self) -> None:
        """Wait until one more may come in."""
        if not self._rate:
            return
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._counted) * self._rate) - 1
        self._counted = now
        if self._left < 0:
            await asyncio.sleep(-self._left / self._rate)


class Server(uvicorn.Server):
    """Accepts by itself: ``most`` connections in their handshake, and as many behind it. The oldest that waits for its
    client gives way to a new one."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        most: int,
        name: str = "",
        arrivals: int = 0,
    ) -> None:
        super().__init__(config)
        self._pace = Pace(arrivals)
        self._listener, self._tls, self._most, self._name = listener, tls, most, name
        self._opening: dict[asyncio.Task[None], socket.socket] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._told, self._exhausted = float("-inf"), 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup([])
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end what is there."""
        if self._accepting:
            self._accepting.cancel()
        for task in list(self._opening):
            task.cancel()
        await super().shutdown([])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._pace.wait()
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno in descriptors.EXHAUSTED:
                    await self._without_descriptors()
                else:  # its client has left already
                    await asyncio.sleep(0.01)
                continue
            if len(self._opening) >= self._most:
                next(iter(self._opening)).cancel()
            task = asyncio.create_task(self._open(connection))
            self._opening[task] = connection
            task.add_done_callback(self._opened)

    async def _without_descriptors(self) -> None:
        now = time.monotonic()
        self._exhausted += 1
        if now >= self._told + _NEWS_SECONDS:
            descriptors.tell_exhausted(_log, self._name, self._exhausted)
            self._told, self._exhausted = now, 0
        await asyncio.sleep(_PAUSE_SECONDS)

    def _make_room(self) -> None:
        """End the oldest connection that waits for its client, if there are as many as there may be."""
        connections: Any = self.server_state.connections
        if len(connections) < self._most - 1:
            return
        waiting = [item for item in connections if item.waits]
        if waiting:
            oldest = min(waiting, key=lambda item: float(item.since))
            connections.discard(oldest)
            oldest.end()

    async def _open(self, connection: socket.socket) -> None:
        """A connection from its handshake on."""
        await asyncio.get_running_loop().connect_accepted_socket(
            self._protocol,
            connection,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if self._tls else None,
            ssl_shutdown_timeout=LAST_WORD_SECONDS if self._tls else None,
        )

    def _opened(self, task: asyncio.Task[None]) -> None:
        """Close what had to give way before its handshake began; a handshake that fails, asyncio closes by itself."""
        connection = self._opening.pop(task)
        if task.cancelled() or task.exception():
            asyncio.get_running_loop().call_soon(
                connection.close
            )  # behind what asyncio has still to do with it

    def _protocol(self) -> Protocol:
        made = Protocol(self.config, self.server_state, self.lifespan.state)
        made.make_room = self._make_room
        return made
