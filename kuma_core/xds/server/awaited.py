"""How long it takes from a write until the last proxy that it touches has acknowledged what it led to.

Everything here runs in the event loop's thread, but for the two properties.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from kuma_core.histogram import Histogram

WRITE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
"""Into which buckets writes are counted: a lone one takes some 20 ms, a burst a second, 5 000 proxies several."""

MOST_AWAITED = 1000
"""How many writes may be waited for; a proxy that answers nothing would have more of them pile up for ever."""


class Answering(Protocol):
    """A stream as far as it matters here."""

    def at_rest(self) -> bool:
        """Whether no response is unanswered."""
        ...

    @property
    def rejections(self) -> int:
        """How many responses the client has rejected so far."""
        ...


class Waited:
    """A stream's part. ``put_off`` while what it is to get waits for others, ``doubted`` while it is asked whether it
    may have that."""

    def __init__(self, stream: Answering) -> None:
        self._stream = stream
        self._rejections = 0
        self.put_off = self.doubted = False
        self.writes: list[Write] = []

    def begin(self, write: Write) -> None:
        """The stream is to get what a write led to."""
        if not self.writes:
            self._rejections = self._stream.rejections
        self.writes.append(write)

    def is_done(self) -> bool:
        """Whether it has answered all of it."""
        return not (self.put_off or self.doubted) and self._stream.at_rest()

    def has_accepted(self) -> bool:
        """Whether it rejected nothing meanwhile."""
        return self._stream.rejections == self._rejections


class Write:
    """One write, or a burst that was worked off at once: since when, and the streams that have not answered yet.

    ``last`` is the time of the newest acknowledgement.
    """

    __slots__ = ("last", "left", "since")

    def __init__(self, since: float, left: set[Waited]) -> None:
        self.since, self.left, self.last = since, left, 0.0


class Awaited:
    """All writes that somebody has not answered yet. ``times`` counts those that all have answered.

    Who leaves, and who rejects, is not waited for; a write that nobody acknowledged is not counted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.times = Histogram(WRITE_SECONDS)
        self._clock = clock
        self._writes: dict[Write, None] = {}
        self._oldest = 0.0

    def __len__(self) -> int:
        return len(self._writes)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest one is waited for; 0 if there is none."""
        oldest = self._oldest
        return self._clock() - oldest if oldest else 0.0

    def begin(self, since: float, streams: Iterable[Waited]) -> None:
        """What a write led to is on its way."""
        write = Write(since, set(streams))
        if not write.left:
            return
        for stream in write.left:
            stream.begin(write)
        if len(self._writes) >= MOST_AWAITED:
            self._give_up(next(iter(self._writes)))
        self._writes[write] = None
        self._note_oldest()

    def rested(self, stream: Waited) -> None:
        """A stream had nothing to send: if it waits for no answer either, it runs with all that it was given."""
        if stream.writes and stream.is_done():
            now = self._clock() if stream.has_accepted() else 0.0
            self._leave(stream, now)

    def left(self, stream: Waited) -> None:
        """A stream ended."""
        if stream.writes:
            self._leave(stream, 0.0)

    def _leave(self, stream: Waited, acknowledged: float) -> None:
        for write in stream.writes:
            write.left.discard(stream)
            write.last = acknowledged or write.last
            if not write.left:
                self._end(write, write.last)
        stream.writes = []
        self._note_oldest()

    def _give_up(self, write: Write) -> None:
        """It took as long as that at least."""
        for stream in write.left:
            stream.writes.remove(write)
        self._end(write, self._clock())

    def _end(self, write: Write, at: float) -> None:
        del self._writes[write]
        if at:
            self.times.observe(at - write.since)

    def _note_oldest(self) -> None:
        self._oldest = next(iter(self._writes)).since if self._writes else 0.0
