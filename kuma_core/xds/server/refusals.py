"""What a client refused of one type: in which portions it is offered again, and when.

One bad resource may have a whole response refused, so what was refused together is offered again in halves, at
once, until each bad resource stands alone and everything else is accepted. What is refused alone waits longer each
time: a taken port or a missing folder heals by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds that only grow, as ``time.monotonic`` tells them."""

BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300)
"""How long what was refused alone waits after the first time, the second, and so on; then always the last."""
JITTER = 0.1
"""By which share of the time the waits are spread, so that not all proxies come at once."""

LONGEST_REASON = 2000
"""How much of the client's text is kept with each resource, and about how much is told of all."""


@dataclass(slots=True)
class _Refusal:
    """``version`` was refused. ``portion`` is how many may go along when it is offered again, ``times`` how often it
    was refused alone, ``due`` when it is offered again."""

    version: str
    portion: int
    times: int
    due: float
    reason: str


class Refusals:
    """What was refused, by name; the version of a removal is the empty text."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_name: dict[str, _Refusal] = {}

    def note(self, items: Mapping[str, str], reason: str) -> bool:
        """The client refused a response of these names and versions. Whether it is what it refused before."""
        alone, now = len(items) == 1, self._clock()
        again = False
        for name, version in items.items():
            known = self._by_name.get(name)
            times = known.times if known and known.version == version else 0
            again = times > 0
            due = now + pause(times) if alone else now
            portion = (len(items) + 1) // 2
            self._by_name[name] = _Refusal(version, portion, times + alone, due, reason[:LONGEST_REASON])
        return alone and again

    def forget(self, names: Iterable[str]) -> None:
        """The client accepted them, or lost interest."""
        for name in names:
            self._by_name.pop(name, None)

    def keep(self, pending: Mapping[str, str]) -> None:
        """Forget what would not be offered any more: other content, or nothing at all."""
        if self._by_name:
            kept = self._by_name.items()
            self._by_name = {name: item for name, item in kept if pending.get(name) == item.version}

    def hurry(self) -> None:
        """Offer everything as soon as possible; a later refusal still waits longer than the one before."""
        for refusal in self._by_name.values():
            refusal.due = self._clock()

    def holds(self, name: str, version: str) -> bool:
        """Whether this version was refused, and not accepted since."""
        refusal = self._by_name.get(name)
        return refusal is not None and refusal.version == version

    def next_portion(self, pending: Mapping[str, str]) -> dict[str, str]:
        """What of the pending names and versions is to go out in one response now: whatever was not refused, else
        the largest portion of what was, once it is due."""
        fresh = {name: version for name, version in pending.items() if not self.holds(name, version)}
        if fresh or not self._by_name:
            return fresh
        now = self._clock()
        ready = {name: found.portion for name in pending if (found := self._by_name[name]).due <= now}
        most = max(ready.values(), default=0)
        names = sorted(name for name, portion in ready.items() if portion == most)[:most]
        return {name: pending[name] for name in names}

    def next_due(self, after: float) -> float | None:
        """When the next one becomes due that was not yet at a given time."""
        return min((item.due for item in self._by_name.values() if item.due > after), default=None)

    def reasons(self) -> str:
        """The client's texts for what it refuses now, each once, until there is enough to read."""
        found: dict[str, None] = {}
        length = 0
        for refusal in self._by_name.values():
            if refusal.reason not in found:
                found[refusal.reason] = None
                length += len(refusal.reason)
            if length >= LONGEST_REASON:
                break
        return "\n".join(found)

    def __len__(self) -> int:
        return len(self._by_name)


def pause(times: int) -> float:
    """How many seconds what was refused ``times`` times before waits after this time."""
    seconds = BACKOFF_SECONDS[min(times, len(BACKOFF_SECONDS) - 1)]
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)
