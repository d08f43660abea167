"""Hands requests on once their bodies are there: a client that stops in the middle of one holds no worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kuma_core.api.errors import JSON, error_body
from kuma_core.plugin.contract import Body

MIB = 1024 * 1024
DISCARDED_BYTES = 64 * MIB
"""How much of a body we wait for. A client that still sends when it is refused would not see the answer."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class WholeBodies:
    """An ASGI app around another one.

    It answers 408 to a body that is not complete within ``seconds`` for each MiB, and 413 to one that is larger than
    ``body`` says, of which it keeps nothing.
    """

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]], seconds: float, body: Body) -> None:
        self._app = app
        self._seconds = seconds
        self._body = body

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            messages = await _gather(receive, self._seconds, self._body.most_bytes)
        except TimeoutError:
            await _refuse(
                send, 408, "Invalid request", f"The body was not complete within {self._seconds:g} s"
            )
            return
        if messages is None:
            named = f" ({self._body.setting})" if self._body.setting else ""
            details = f"The body has more than {self._body.most_bytes} bytes{named}"
            await _refuse(send, 413, "Invalid request", details)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)


async def _refuse(send: Send, status: int, title: str, details: str) -> None:
    body = error_body(title, details)
    headers = [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(body))]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _gather(receive: Receive, seconds: float, most_bytes: int) -> list[Message] | None:
    """The messages of a request until its body is complete, ``seconds`` for each MiB; ``None`` if it is too large.

    Raises ``TimeoutError``.
    """
    messages: list[Message] = []
    size, more = 0, True
    while more and size <= DISCARDED_BYTES:
        async with asyncio.timeout(seconds):
            end = size + MIB
            while more and size < end:
                message = await receive()
                size += len(message.get("body", b""))
                messages.append(message)
                if size > most_bytes:
                    messages.clear()
                more = message.get("more_body", False)
    return messages if size <= most_bytes else None
