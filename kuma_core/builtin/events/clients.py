"""The clients of one server: each follows the ring in a task of its own, at its own pace.

Everything here runs in the server's event loop, but for ``ring_bells`` and ``close``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from kuma_core.builtin.events.contract import RESET, Event
from kuma_core.builtin.events.ring import Filter, Lost, Ring

GATHER_SECONDS = 0.1
"""How long news is gathered before clients wake: a burst of writes is one packet to each."""
HEARTBEAT_SECONDS = 25.0
"""How often a client without news hears that we are there, and proves that it is."""
RETRY_MILLISECONDS = 3000
"""After how long a browser that lost the connection comes back."""

BEGIN = "begin"
"""What a client is told first: from now on it misses nothing."""


class Bell(asyncio.Event):
    """Wakes one client's task; ``left`` once the client closed the connection."""

    left = False


class Clients:
    """Who follows a ring. ``close`` ends all of them, and whoever comes later at once."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._bells: set[Bell] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_ringing = False
        self._closed = False
        ring.wake = self.ring_bells

    def __len__(self) -> int:
        return len(self._bells)

    def ring_bells(self) -> None:
        """Wake all clients soon; without a client this does nothing."""
        if self._loop and self._bells and not self._is_ringing:
            self._is_ringing = True
            self._in_loop(False)

    def close(self) -> None:
        """End every client."""
        self._closed = True
        self._in_loop(True)

    def _in_loop(self, at_once: bool) -> None:
        if self._loop:
            with suppress(RuntimeError):  # the loop is closed: nobody is there any more
                self._loop.call_soon_threadsafe(self._wake if at_once else self._wake_soon)

    def _wake_soon(self) -> None:
        asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake)

    def _wake(self) -> None:
        self._is_ringing = False  # first: what comes from now on rings again
        for bell in self._bells:
            bell.set()

    async def follow(self, wanted: Filter, last_id: str, bell: Bell) -> AsyncGenerator[bytes, None]:
        """All that one client is sent, from behind ``last_id`` (``""``: from now) until it has left.

        The next piece is made when the one before is on its way: meanwhile the ring goes on, and a client that takes
        too long is told to read anew.
        """
        self._loop = asyncio.get_running_loop()
        self._bells.add(bell)
        try:
            place, beginning = self._beginning(last_id)
            yield beginning
            while not (self._closed or bell.left):
                bell.clear()
                before, (place, data) = place, self._news(place, wanted)
                if not data and place == before:
                    data = b"" if await _rang(bell) else self._heartbeat(place)
                if data:
                    yield data
        finally:
            self._bells.discard(bell)

    def _news(self, place: int, wanted: Filter) -> tuple[int, bytes]:
        try:
            return self._ring.after(place, wanted)
        except Lost:
            newest = self._ring.newest
            return newest, self._own(RESET, newest, "you read slower than events come")

    def _heartbeat(self, place: int) -> bytes:
        return f": still here\nid: {self._ring.id_of(place)}\n\n".encode()

    def _beginning(self, last_id: str) -> tuple[int, bytes]:
        """Where a client begins, and what it is told first."""
        newest = self._ring.newest
        place = self._ring.place_of(last_id) if last_id else newest
        retry = f"retry: {RETRY_MILLISECONDS}\n".encode()
        if place is None:
            why = "this control plane does not know the event that you had last"
            return newest, retry + self._own(RESET, newest, why)
        return place, retry + self._own(BEGIN, place, "")

    def _own(self, type: str, place: int, reason: str) -> bytes:
        return self._ring.frame(Event(type, data={"reason": reason}), place)


async def _rang(bell: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            return await bell.wait()
    return False
