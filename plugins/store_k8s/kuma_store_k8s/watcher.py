"""What one watcher of the store has not seen yet."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from kuma_core.sdk import Change, Op, StoreUnavailable


class Watcher:
    """What one watcher has not seen yet; it begins with a RESYNC."""

    def __init__(self, backlog: int, changed: threading.Condition) -> None:
        self._changed, self._backlog = changed, backlog
        self._waiting: deque[Change] = deque([Change(Op.RESYNC)])
        self._failure = ""

    def add(self, change: Change) -> None:
        """Have it told; the caller holds the lock."""
        if len(self._waiting) >= self._backlog:
            self._waiting = deque([Change(Op.RESYNC)])
        else:
            self._waiting.append(change)
        self._changed.notify_all()

    def fail(self, problem: str) -> None:
        """End it; the caller holds the lock."""
        self._failure = problem

    def wake(self) -> None:
        """Have it look whether it should end."""
        with self._changed:
            self._changed.notify_all()

    def take(self, is_over: Callable[[], bool]) -> Iterator[Change]:
        """Everything that waits, after waiting for something.

        Raises ``StoreUnavailable`` when nothing comes any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._failure or is_over())
            taken, self._waiting = self._waiting, deque()
            if not taken and self._failure and not is_over():
                raise StoreUnavailable(self._failure)
        return iter(taken)
