"""One place that access logs go to: a bounded queue, a thread, and one TCP connection while there is one."""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from kuma_core.dataplane.log import Log

if TYPE_CHECKING:
    from socket import socket

LARGEST_QUEUE = 256 * 1024
LARGEST_BATCH = 64 * 1024
CONNECT_SECONDS = 5.0
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
    """Delivers records to ``address`` (``host:port``), each at most once and in order.

    ``offer`` never waits: the oldest records make room for new ones. What was on its way when a connection
    broke is lost. ``dropped`` counts both; ``last_used`` is when the last record was offered (monotonic).
    """

    def __init__(self, address: str, tell: Tell) -> None:
        self.address = address
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
        self._connection: socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink {address}", daemon=True)

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
                connection = self._connected()
                self._send(connection, self._batch())
                self._succeeded()
            except (OSError, ValueError, OverflowError) as error:  # the latter two: no address at all
                self._failed(error)
        self._disconnect()

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

    def _connected(self) -> socket:
        if self._connection is not None and _is_closed(self._connection):
            self._disconnect()
        if self._connection is None:
            from socket import create_connection

            host, _, port = self.address.rpartition(":")
            self._connection = create_connection((host.strip("[]"), port), CONNECT_SECONDS)
            self._connection.settimeout(SEND_SECONDS)
        return self._connection

    def _send(self, connection: socket, data: bytes) -> None:
        """Send everything; raises ``TimeoutError`` if not a byte of it is taken for 10 seconds."""
        rest = memoryview(data)
        while rest:
            rest = rest[connection.send(rest) :]

    def _succeeded(self) -> None:
        self._under_way = 0
        if self._is_down and not self._queue:
            self._is_down = False
            self._tell("access log sink is up", sink=self.address, dropped=self.dropped)
            self._told_dropped = self.dropped
        elif self.dropped > self._told_dropped and time.monotonic() > self._tell_slow_at:
            self._tell_slow_at = time.monotonic() + TELL_SECONDS
            self._tell(
                "access log sink is slow, records are dropped", sink=self.address, dropped=self.dropped
            )
            self._told_dropped = self.dropped

    def _failed(self, error: Exception) -> None:
        self._disconnect()
        with self._changed:
            self.dropped += self._under_way
            self._under_way = 0
        if not self._is_down:
            self._is_down = True
            reason = getattr(error, "strerror", None) or str(error)
            self._tell("access log sink is down, records are dropped", sink=self.address, reason=reason)
        with self._changed:
            if self._changed.wait_for(lambda: self._finishing, RETRY_SECONDS):
                self.dropped += len(self._queue)
                self._queue.clear()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_closed(connection: socket) -> bool:
    """Whether the other side hung up; what it says is read and forgotten."""
    while select.select([connection], [], [], 0)[0]:
        try:
            if not connection.recv(4096):
                return True
        except OSError:
            return True
    return False
