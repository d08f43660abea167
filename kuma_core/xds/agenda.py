"""When a mesh's turn comes: at once after quiet, at the end of a burst, and never at the cost of another mesh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

QUIET_SECONDS = 0.05
"""A burst is over when nothing came for this long."""


@dataclass(slots=True)
class _Waiting:
    """Since when something of a mesh waits, and when the newest of it came; at once if it came after quiet."""

    first: float
    last: float
    at_once: bool


class Agenda:
    """Which meshes have something to do, and when. For one thread; times are those of ``time.monotonic``."""

    def __init__(self, longest_burst_seconds: float) -> None:
        self._longest = longest_burst_seconds
        self._waiting: dict[str, _Waiting] = {}
        self._settled: dict[str, float] = {}

    def note(self, mesh: str, now: float) -> None:
        """Something of a mesh came; ``""`` stands for what is of no mesh alone."""
        found = self._waiting.get(mesh)
        if found:
            found.last = now
            return
        settled = self._settled.get(mesh)
        at_once = settled is None or now - settled >= QUIET_SECONDS
        self._waiting[mesh] = _Waiting(now, now, at_once)

    def due(self, now: float, busy: Iterable[str] = ()) -> list[str]:
        """The meshes whose burst is over; one that is ``busy`` gathers on. In the order in which they came."""
        for mesh in [mesh for mesh, when in self._settled.items() if now - when >= QUIET_SECONDS]:
            del self._settled[mesh]
        taken = frozenset(busy)
        return [
            mesh
            for mesh, waiting in self._waiting.items()
            if mesh not in taken and self._when(waiting) <= now
        ]

    def seconds_left(self, now: float) -> float | None:
        """How long it is until a mesh is due; ``None`` while nothing waits."""
        if not self._waiting:
            return None
        return max(0.0, min(map(self._when, self._waiting.values())) - now)

    def begun(self, mesh: str) -> None:
        """What waited is being worked on."""
        self._waiting.pop(mesh, None)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()

    def settled(self, mesh: str, now: float) -> None:
        """The work on a mesh is done."""
        self._settled[mesh] = now

    def _when(self, waiting: _Waiting) -> float:
        if waiting.at_once:
            return waiting.first
        return min(waiting.first + self._longest, waiting.last + QUIET_SECONDS)
