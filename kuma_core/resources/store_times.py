"""How long the store takes: for each call, and from a write to the hint that tells of it."""

from __future__ import annotations

import time
from collections.abc import Collection

from kuma_core.histogram import Histogram
from kuma_core.model import ResourceKey

CALL_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.5, 10)
"""Into which buckets calls are counted: a healthy database takes a millisecond or two, and has deadlines of seconds."""

ANSWERED, FAILED = "answered", "failed"

MOST_UNTOLD = 1000
"""Of how many writes it is remembered when they began, until the watch tells of them."""


class StoreTimes:
    """``calls`` counts by verb and outcome. Types ``untold`` are those whose writes no watch tells of.

    Safe for use from several threads: each step is one of a dictionary.
    """

    def __init__(self, untold: Collection[str] = ()) -> None:
        self.calls = Histogram(CALL_SECONDS, 2)
        self._untold = frozenset(untold)
        self._began: dict[ResourceKey, float] = {}

    def begun(self, key: ResourceKey) -> None:
        """A write that obeys every rule is given to the store. The watch may tell of it before the store answers."""
        if key.type not in self._untold and len(self._began) < MOST_UNTOLD:
            self._began.setdefault(key, time.monotonic())

    def withdrawn(self, key: ResourceKey) -> None:
        """The store did not take it."""
        self._began.pop(key, None)

    def heard(self, key: ResourceKey | None) -> float:
        """When the write began of which the watch tells now; that of another control plane began now, as far as anybody
        here can know. ``None`` stands for all that the watch may have missed: the oldest of them counts."""
        if key is not None:
            return self._began.pop(key, None) or time.monotonic()
        began, self._began = self._began, {}
        return min(began.copy().values(), default=0.0) or time.monotonic()
