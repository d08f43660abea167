"""Hands requests on once their bodies are there: a client that stops in the middle of one holds no worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kuma_core.api.errors import JSON, error_body

MIB = 1024 * 1024
MAX_BYTES = 64 * MIB
"""How much of a body we wait for; every app behind this refuses less than that. A client that still sends when
it is refused would not see the answer."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class WholeBodies:
    """An ASGI app around another one. It answers 408 to a body that is not complete within ``seconds`` for each MiB."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]], seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            messages = await _gather(receive, self._seconds)
        except TimeoutError:
            await self._give_up(send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)

    async def _give_up(self, send: Send) -> None:
        body = error_body("Invalid request", f"The body was not complete within {self._seconds:g} s")
        headers = [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body))]
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": 408, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _gather(receive: Receive, seconds: float) -> list[Message]:
    """The messages of a request until its body is complete, or larger than anybody takes; ``seconds`` for each MiB.

    Raises ``TimeoutError``.
    """
    messages, size, more = [], 0, True
    while more and size <= MAX_BYTES:
        async with asyncio.timeout(seconds):
            end = size + MIB
            while more and size < end:
                message = await receive()
                messages.append(message)
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    return messages
