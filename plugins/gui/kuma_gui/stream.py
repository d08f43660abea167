"""Keeps a stream of events audible: a page has to notice within seconds that the control plane is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[Any], Awaitable[None]]

SILENCE_SECONDS = 2.0
"""The pages take a stream for lost after more than twice as long; that of the events server speaks each 25 s alone,
which is enough for programs."""
STILL_HERE = b": still here\n\n"


class Audible:
    """``send`` for one answer that streams, until ``close`` with a comment whenever nothing was sent for a while."""

    def __init__(self, send: Send) -> None:
        self._send, self._speaking = send, asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._comments: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Say nothing more."""
        if self._timer:
            self._timer.cancel()
        for task in self._comments:
            task.cancel()

    async def send(self, message: Any) -> None:
        """Send a piece of the answer, and begin to wait anew."""
        if self._timer:
            self._timer.cancel()
        async with self._speaking:
            await self._send(message)
        if _goes_on(message):
            self._timer = asyncio.get_running_loop().call_later(SILENCE_SECONDS, self._speak)

    def _speak(self) -> None:
        comment = {"type": "http.response.body", "body": STILL_HERE, "more_body": True}
        task = asyncio.ensure_future(self.send(comment))
        self._comments.add(task)
        task.add_done_callback(self._comments.discard)


def _goes_on(message: Any) -> bool:
    """Whether more of a stream is to come: refusals have a length and end at once."""
    return message["type"] == "http.response.body" and bool(message.get("more_body", False))
