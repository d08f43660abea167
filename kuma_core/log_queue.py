"""A stderr that blocks nobody: who writes a line hands it over, and one thread waits for whoever reads.

A pipe that nobody reads, a terminal that was stopped, a disk that is full: a program goes on, and says later how many
lines were lost.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

MOST_BYTES = 1024 * 1024
"""How much may wait for a reader; what is written beyond that is lost."""

END_SECONDS = 2.0
"""How long the end of a program waits for what is still to be written."""


class LogQueue(io.TextIOBase):
    """Text for a file descriptor. Safe for use from several threads at once; ``write`` neither waits nor raises.

    ``lost_lines`` counts those that nobody will read.
    """

    def __init__(self, descriptor: int, most_bytes: int = MOST_BYTES) -> None:
        self._descriptor, self._most_bytes = descriptor, most_bytes
        self.notice: Callable[[str], str] = _notice
        """Makes a line of the sentence that tells of lost ones."""
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = self._lost = 0
        self.lost_lines = 0
        self._reason = ""
        self._writing = False
        self._thread: threading.Thread | None = None

    @property
    def waiting_bytes(self) -> int:
        """How much nobody has read yet, but for what is being written now."""
        return self._size

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """How text becomes bytes."""
        return "utf-8"

    def fileno(self) -> int:
        """The descriptor, for programs that inherit it."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether somebody looks on."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Have a text written, or count its lines as lost."""
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self._size + len(data) > self._most_bytes:
                self._lose(data, "nobody read them")
            else:
                self._waiting.append(data)
                self._size += len(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return len(text)

    def drain(self, seconds: float = END_SECONDS) -> bool:
        """Wait until all is written, for so long at most; ``False`` if something was not."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._writing), seconds)

    def _lose(self, data: bytes, reason: str) -> None:
        lines = max(data.count(b"\n"), 1)
        self._lost += lines
        self.lost_lines += lines
        self._reason = reason

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                while not self._waiting:
                    self._changed.wait()
                data, self._writing = b"".join(self._waiting), True
                self._waiting.clear()
                self._size, lost, self._lost = 0, self._lost, 0
                reason = self._reason
            self._write(data, lost, reason)

    def _write(self, data: bytes, lost: int, reason: str) -> None:
        """Write what waited, and how many lines were lost behind it."""
        try:
            self._write_whole(data)
            if lost:
                self._write_whole(f"{self.notice(_words(lost, reason))}\n".encode())
        except OSError as error:
            with self._changed:
                self._lose(data, error.strerror or str(error))
                self._lost += lost

    def _write_whole(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody else made the descriptor so
                time.sleep(0.05)


def _words(lost: int, reason: str) -> str:
    return f"{lost} lines were lost here: {reason}"


def _notice(words: str) -> str:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return f"{moment}\tWARNING\tlog\t{words}"


def queue_stderr() -> LogQueue | None:
    """From now on whatever Python code writes to stderr is handed over; the end of the program waits for it a little.

    ``None`` where stderr is no file, as in a test that reads it.
    """
    with suppress(AttributeError, OSError, ValueError):
        queue = LogQueue(sys.stderr.fileno())
        sys.stderr.flush()
        sys.stderr = queue
        atexit.register(queue.drain)
        return queue
    return None
