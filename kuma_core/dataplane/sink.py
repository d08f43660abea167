"""One place that access logs go to: a bounded queue, and a thread that takes from it while the place is there."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress

from kuma_core.dataplane.log import Log

LARGEST_QUEUE = 256 * 1024
LARGEST_BATCH = 64 * 1024
SEND_SECONDS = 10.0
RETRY_SECONDS = 1.0
TELL_SECONDS = 60.0
_RECORD_COST = 64  # what Python needs beside the text, so that many short records count as well


class Tell:
    """Writes to the log at level info, and goes on if nobody reads it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, message: str, **values: object) -> None:
        with suppress(OSError, ValueError):
            self._log.info(message, **values)


class Sink:
    """Delivers records, each at most once and in order; subclasses say how.

    ``offer`` never waits: the oldest records make room for new ones. What was on its way when the place failed
    is lost. ``dropped`` counts both; ``last_used`` is when the last record was offered (monotonic). ``name`` is what
    the log calls it.
    """

    def __init__(self, address: str, tell: Tell, name: str = "") -> None:
        self.address = address
        self.name = name or address
        self.dropped = 0
        self.last_used = time.monotonic()
        self._tell = tell
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._finishing = False
        self._is_down = False
        self._told_dropped = 0
        self._tell_slow_at = 0.0
        self._under_way = 0
        self._thread = threading.Thread(target=self._run, name=f"sink {address}", daemon=True)

    # -- what a subclass does

    def _open(self) -> None:
        """Make sure that the place is there; raises ``OSError``, ``ValueError`` or ``OverflowError``."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        """Deliver everything; raises as ``_open`` does."""
        raise NotImplementedError

    def _close(self) -> None:
        """Let go of the place; never raises."""
        raise NotImplementedError

    def _tell_down(self, reason: str) -> None:
        """Say that it cannot be reached; called after every attempt that failed."""
        if not self._is_down:
            self._tell("access log sink is down, records are dropped", sink=self.name, reason=reason)

    def start(self) -> None:
        """Start the thread; raises ``RuntimeError`` if the machine has none left."""
        self._thread.start()

    def offer(self, text: bytes) -> None:
        """Queue a record, at the cost of the oldest ones if there is no room."""
        cost = len(text) + _RECORD_COST
        with self._changed:
            self.last_used = time.monotonic()
            while self._queue and self._size + cost > LARGEST_QUEUE:
                self._pop()
                self.dropped += 1
            self._queue.append(text)
            self._size += cost
            self._changed.notify()

    def finish(self) -> None:
        """Deliver what is queued if that works at once, then end."""
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end after ``finish``."""
        self._thread.join(seconds)

    def _pop(self) -> bytes:
        text = self._queue.popleft()
        self._size -= len(text) + _RECORD_COST
        return text

    def _run(self) -> None:
        while self._has_work():
            try:
                self._open()
                self._write(self._batch())
                self._succeeded()
            except (OSError, ValueError, OverflowError) as error:  # the latter two: no address or path at all
                self._failed(error)
        self._close()

    def _has_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._finishing)
            return bool(self._queue)

    def _batch(self) -> bytes:
        texts, size = [], 0
        with self._changed:
            while self._queue and size < LARGEST_BATCH:
                texts.append(self._pop())
                size += len(texts[-1])
            self._under_way = len(texts)
        return b"".join(texts)

    def _succeeded(self) -> None:
        self._under_way = 0
        if self._is_down and not self._queue:
            self._is_down = False
            self._tell("access log sink is up", sink=self.name, dropped=self.dropped)
            self._told_dropped = self.dropped
        elif self.dropped > self._told_dropped and time.monotonic() > self._tell_slow_at:
            self._tell_slow_at = time.monotonic() + TELL_SECONDS
            self._tell("access log sink is slow, records are dropped", sink=self.name, dropped=self.dropped)
            self._told_dropped = self.dropped

    def _failed(self, error: Exception) -> None:
        self._close()
        with self._changed:
            self.dropped += self._under_way
            self._under_way = 0
        self._tell_down(getattr(error, "strerror", None) or str(error))
        self._is_down = True
        with self._changed:
            if self._changed.wait_for(lambda: self._finishing, RETRY_SECONDS):
                self.dropped += len(self._queue)
                self._queue.clear()
