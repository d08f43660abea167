"""What happened lately: a bounded ring, written from any thread, read by each client from a place of its own.

Each event is encoded once; all clients share the bytes.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from kuma_core.builtin.events.contract import RESET, Event

MOST_EVENTS = 4096
"""How many events are remembered, at most about 1 kB each; a client that is further behind reads anew."""
MOST_AT_ONCE = 256
"""How many events a client is looked up at once, so that its buffers stay small."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a client wants; empty sets stand for everything."""

    meshes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def takes(self, event: Event) -> bool:
        """Whether the event is one of these; that something was missed is for everybody."""
        if event.type == RESET:
            return True
        return (not self.meshes or event.mesh in self.meshes) and (not self.kinds or event.kind in self.kinds)


@dataclass(frozen=True, slots=True)
class _Told:
    event: Event
    frame: bytes
    at: float


class Lost(Exception):
    """What comes behind a client's place is remembered no more."""


class Ring:
    """Numbers events from 1 on. ``epoch`` names this ring among those of all control planes and of other starts."""

    def __init__(self, epoch: str, most: int = MOST_EVENTS) -> None:
        self._epoch, self._most = epoch, most
        self._slots: list[_Told | None] = [None] * most
        self._newest = 0
        self._lock = threading.Lock()
        self.wake: Callable[[], None] = lambda: None

    @property
    def newest(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._newest

    def add(self, event: Event) -> None:
        """Take an event, and call ``wake``."""
        with self._lock:
            number = self._newest + 1
            self._slots[number % self._most] = _Told(event, self.frame(event, number), time.time())
            self._newest = number
        self.wake()

    def frame(self, event: Event, number: int) -> bytes:
        """An event as it is sent, with the id by which a client resumes behind it."""
        members = {"kind": event.kind, "mesh": event.mesh, **event.data}
        data = json.dumps({key: value for key, value in members.items() if value != ""}, ensure_ascii=False)
        return f"id: {self.id_of(number)}\nevent: {event.type}\ndata: {data}\n\n".encode()

    def latest(self, types: frozenset[str], mesh: str, most: int) -> list[tuple[float, Event]]:
        """The newest events of some types, of one mesh if it is named, the newest first, with when they were told
        (seconds since 1970)."""
        with self._lock:
            oldest = max(0, self._newest - self._most)
            told = [self._slots[number % self._most] for number in range(self._newest, oldest, -1)]
        found = (
            (item.at, item.event)
            for item in told
            if item and item.event.type in types and mesh in ("", item.event.mesh)
        )
        return list(islice(found, most))

    def id_of(self, number: int) -> str:
        """The id that stands for an event of this ring."""
        return f"{self._epoch}-{number}"

    def place_of(self, id: str) -> int | None:
        """The number that an id stands for; ``None`` for an id of another ring, from the future, or of no form."""
        epoch, dash, number = id.rpartition("-")
        if not (dash and epoch == self._epoch and number.isascii() and number.isdigit() and len(number) < 20):
            return None
        place = int(number)
        return place if place <= self._newest else None

    def after(self, place: int, wanted: Filter) -> tuple[int, bytes]:
        """Up to where this looked behind ``place``, and the bytes of what is wanted of it; raises ``Lost``."""
        with self._lock:
            if place < self._newest - self._most:
                raise Lost
            end = min(self._newest, place + MOST_AT_ONCE)
            found = [self._slots[number % self._most] for number in range(place + 1, end + 1)]
        return end, b"".join(told.frame for told in found if told and wanted.takes(told.event))
