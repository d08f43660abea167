"""The latest audit lines in memory, for operators who look after what happened; the log has all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

KEPT = 1000
"""How many are kept of each: accepted writes, refused ones, and denials. So strangers that are denied again and again
push out no write."""

Line = Mapping[str, Any]


class AuditRing:
    """Safe for use from several threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock, self._numbers = threading.Lock(), count(1)
        self._writes: deque[Line] = deque(maxlen=kept)
        self._refusals: deque[Line] = deque(maxlen=kept)
        self._denials: deque[Line] = deque(maxlen=kept)

    def add_write(self, line: Line) -> None:
        """Keep an accepted write."""
        self._add(self._writes, line)

    def add_refusal(self, line: Line) -> None:
        """Keep a write that was refused for what it says."""
        self._add(self._refusals, line)

    def add_denial(self, line: Line) -> None:
        """Keep what somebody asked who may not."""
        self._add(self._denials, line)

    def lines(self) -> list[Line]:
        """All that is kept, the newest first."""
        with self._lock:
            found = [*self._writes, *self._refusals, *self._denials]
        found.sort(key=lambda line: -int(line["number"]))
        return found

    def _add(self, kept: deque[Line], line: Line) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            kept.append({"time": now, "number": next(self._numbers), **line})
