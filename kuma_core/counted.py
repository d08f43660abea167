"""Log lines that somebody outside can cause a thousand times a second: one goes out, the others are counted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

SECONDS = 60.0
MOST_KINDS = 100
"""How many kinds of a line are told apart; what more there is counts as one kind."""


class CountedLine:
    """A line of the log that is written at most once in ``SECONDS`` for each kind of it.

    ``level`` is the name of a method of ``log``. The line that goes out is the first one, whole; how many there were
    like it since, ``like_it``, comes with the next one, or when the time is over if there is an event loop. For any
    thread.
    """

    def __init__(
        self,
        log: Any,
        level: str,
        event: str,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_KINDS,
    ) -> None:
        self._log, self._level, self._event, self._clock, self._most = log, level, event, clock, most
        self._lock = threading.Lock()
        self._kinds: OrderedDict[str, _Kind] = OrderedDict()  # whose time is over first stands first

    def __call__(self, kind: str, /, **said: Any) -> None:
        """Write the line, or count it."""
        with self._lock:
            now = self._clock()
            late = self._forget(kind, now)
            if kind not in self._kinds and len(self._kinds) >= self._most:
                kind = ""
            state = self._kinds.setdefault(kind, _Kind())
            if now < state.again_at:
                state.count += 1
                state.last = said
                is_first = state.count == 1
                told = None
            else:
                is_first, told = False, state.take(now)
                self._kinds.move_to_end(kind)
        for words in late:
            self._write(words)
        if told is not None:
            self._write({**said, **told})
        elif is_first:
            self._flush_later(kind, state)

    def forget(self) -> None:
        """Begin as if nothing had been told."""
        with self._lock:
            self._kinds.clear()

    def _forget(self, kept: str, now: float) -> list[dict[str, Any]]:
        """Let go of kinds whose time is over, and give what was held back of them."""
        late = []
        while self._kinds:
            kind, state = next(iter(self._kinds.items()))
            if kind == kept or now < state.again_at:
                break
            del self._kinds[kind]
            if state.count:
                said = state.last
                late.append({**said, **state.take(now)})
        return late

    def _write(self, said: dict[str, Any]) -> None:
        getattr(self._log, self._level)(
            self._event, **said
        )  # a logger that is made now: logs may be set up later

    def _flush_later(self, kind: str, state: _Kind) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # in a thread: it comes along with the next one
        loop.call_later(max(0.0, state.again_at - self._clock()), self._flush, kind, state)

    def _flush(self, kind: str, state: _Kind) -> None:
        with self._lock:
            said, told = state.last, state.take(self._clock())
            if kind in self._kinds:
                self._kinds.move_to_end(kind)
        if told:
            self._write({**said, **told})


class _Kind:
    """When the next line goes out, how many were held back, and what the last of these said."""

    def __init__(self) -> None:
        self.again_at = float("-inf")
        self.count = 0
        self.last: dict[str, Any] = {}

    def take(self, now: float) -> dict[str, Any]:
        """What to add to a line that goes out now."""
        count, self.count, self.last = self.count, 0, {}
        self.again_at = now + SECONDS
        return {"like_it": count} if count else {}
