"""A queue of what has to be looked at: each thing once, however often it was named, and again later if that failed."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

import structlog

from kuma_core.sdk import KumaError, Stop

_log = structlog.get_logger("kubernetes-controllers")

K = TypeVar("K", bound=Hashable)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before something is tried again, twice as long each time."""
END_SECONDS = 0.5
"""A part of the leader is to end within a second or so."""
GATHER = 0.05
"""Seconds in which what changes again counts as one change."""


class Work(Generic[K]):
    """The queue. ``look`` gets one key at a time, and raises ``KumaError`` to be called again later.

    It returns in how many seconds it wants to be called again; ``None`` for never. Several threads may ``run`` it: no
    two look at one key.
    """

    def __init__(self, look: Callable[[K], float | None]) -> None:
        self._look = look
        self._bell = threading.Condition()
        self._due: dict[K, float] = {}
        self._order: list[tuple[float, int, K]] = []
        self._numbers = itertools.count()
        self._failures: dict[K, int] = {}
        self._busy: set[K] = set()

    def add(self, keys: Iterable[K], seconds: float = GATHER) -> None:
        """Have keys looked at, in so many seconds at the latest."""
        at = time.monotonic() + seconds
        with self._bell:
            for key in keys:
                if at < self._due.get(key, at + 1):
                    self._due[key] = at
                    heapq.heappush(self._order, (at, next(self._numbers), key))
            self._bell.notify_all()

    def run(self, stop: Stop) -> None:
        """Look at what is due until ``stop`` is set."""
        with stop.calling(self._ring):
            while not stop.is_set():
                key = self._next(stop)
                if key is not None:
                    self._try(key)

    def _ring(self) -> None:
        with self._bell:
            self._bell.notify_all()

    def _next(self, stop: Stop) -> K | None:
        """What is due now; ``None`` after a wait in which something may have become due."""
        with self._bell:
            while self._order and self._is_passed(*self._order[0]):
                heapq.heappop(self._order)
            wait = self._order[0][0] - time.monotonic() if self._order else None
            if wait is None or wait > 0:
                if not stop.is_set():
                    self._bell.wait(wait)
                return None
            key = heapq.heappop(self._order)[2]
            del self._due[key]
            self._busy.add(key)
            return key

    def _is_passed(self, at: float, _number: int, key: K) -> bool:
        """Whether a place in the order counts no more: another does, or the key comes back once nobody is at it."""
        return self._due.get(key) != at or key in self._busy

    def _try(self, key: K) -> None:
        try:
            again = self._look(key)
            self._failures.pop(key, None)
        except KumaError as error:
            failed = self._failures[key] = self._failures.get(key, 0) + 1
            again = min(FIRST_PAUSE * 2 ** min(failed - 1, 10), LONGEST_PAUSE)
            _log.info(
                "this is tried again", what="/".join(map(str, _parts(key))), seconds=again, problem=str(error)
            )
        with self._bell:
            self._busy.discard(key)
            if key in self._due:  # it was named meanwhile
                heapq.heappush(self._order, (self._due[key], next(self._numbers), key))
        if again is not None:
            self.add([key], again)
        self._ring()


def ended(threads: Iterable[threading.Thread]) -> None:
    """Wait a moment for threads that were told to end. One that waits for an answer ends with it, and does no more."""
    for thread in threads:
        thread.join(timeout=END_SECONDS)


def _parts(key: Hashable) -> Iterable[object]:
    return key if isinstance(key, tuple) else (key,)
