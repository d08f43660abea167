"""Whether a thread that works in passes makes progress: written by that thread, read by others."""

from __future__ import annotations

import time


class Heartbeat:
    """``reading`` says that the thread waits for the store, which has deadlines of its own."""

    def __init__(self) -> None:
        self._last: float | None = None
        self.reading = False

    def progress(self) -> None:
        """A pass begins, or goes on."""
        self._last = time.monotonic()

    def rest(self) -> None:
        """The pass is over."""
        self._last = None

    def at_work(self) -> bool:
        """Whether a pass goes on."""
        return self._last is not None

    def silent(self, now: float) -> float:
        """For how many seconds there was no progress in a pass; 0 at rest. ``now`` is of the monotonic clock."""
        last = self._last
        return 0.0 if last is None else max(0.0, now - last)
