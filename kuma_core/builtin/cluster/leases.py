"""Leases: what only one may do at a time, among all control planes over one store.

A lease is a record that its holder writes anew, again and again, by compare-and-set. Whoever finds it unchanged
for its whole length, by a clock of its own, may take it over; the holder, by its own clock, has stopped before.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kuma_core.builtin.cluster.specs import LeaseSpec
from kuma_core.errors import AlreadyExists, Conflict, NotFound, UnreadableResource
from kuma_core.model import Resource, ResourceType
from kuma_core.resources import codec
from kuma_core.resources.contract import Record, Store

Clock = Callable[[], float]


class Stillness:
    """For how long something has looked the same; the clock is ours, and starts with our first look."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._state: object = None
        self._since = 0.0

    def seconds(self, state: object) -> float:
        """How long every look has found this ``state``."""
        now = self._clock()
        if state != self._state:
            self._state, self._since = state, now
        return now - self._since


class Lease:
    """One lease, as one that may hold it sees it. For one thread, but for ``left`` and ``newest_term``.

    ``holder`` is unique among all who want it; ``seconds`` is its length, the same for all of them. ``inherited``
    tells whether a record of it was there before, ``term`` for which term we held it last.
    """

    def __init__(
        self,
        store: Store,
        kind: ResourceType,
        name: str,
        holder: str,
        seconds: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self._store = store
        self._kind = kind
        self._key = kind.key("", name)
        self._holder = holder
        self._seconds = seconds
        self._clock = clock
        self._stillness = Stillness(clock)
        self._ends = float("-inf")
        self._outgrown = 0
        self.term = 0
        self.inherited = False

    def left(self) -> float:
        """Seconds until somebody else may take it; negative if we do not hold it."""
        return self._ends - self._clock()

    def newest_term(self) -> int:
        """The term that its record has now; 0 without one. Raises ``StoreUnavailable``."""
        record = self._find()
        return self._read(record).term if record else 0

    def outgrow(self, term: int) -> None:
        """Hold it for a later term than this from the next time on: somebody wrote for that one.

        So it is where the record was lost or restored from a backup, and what leaders wrote was not.
        """
        self._outgrown = max(self._outgrown, term)

    def exists(self) -> bool:
        """Whether there is a record of it, whoever holds it."""
        return self._find() is not None

    def hold(self, create: bool = True) -> bool:
        """Take the lease, or keep it; say whether we hold it now. Without ``create`` take none that has no record.

        Raises ``StoreUnavailable``: then nobody knows.
        """
        # The time is that before the write: others count from when they see it, so that ours ends first.
        started, record = self._clock(), self._find()
        if not (self._write(record) if record else create and self._create()):
            self._ends = float("-inf")
            return False
        self._ends = started + self._seconds
        return True

    def give_back(self) -> None:
        """Let others have it at once, if we hold it."""
        record = self._find() if self.left() > 0 else None
        self._ends = float("-inf")
        if record and self._read(record).holder == self._holder:
            self._update(record, "")

    def remove(self) -> None:
        """Take the record away, if we hold it."""
        if self.left() > 0:
            self._ends = float("-inf")
            try:
                self._store.delete(self._key)
            except NotFound:
                return

    def _write(self, record: Record) -> bool:
        holder = self._read(record).holder
        if holder not in ("", self._holder) and self._stillness.seconds(record.version) < self._seconds:
            return False
        self.inherited = self.inherited or holder != self._holder
        return self._update(record, self._holder)

    def _create(self) -> bool:
        try:
            return self._written(self._store.create, LeaseSpec(), self._holder)
        except AlreadyExists:
            return False

    def _update(self, record: Record, holder: str) -> bool:
        try:
            return self._written(self._store.update, self._read(record), holder, record.version)
        except Conflict:
            return False

    def _written(self, write: Callable[..., Record], before: LeaseSpec, holder: str, *version: str) -> bool:
        term = before.term + (holder not in ("", before.holder))
        term = max(term, self.term, self._outgrown + 1 if self._outgrown else 1)
        spec = LeaseSpec(holder=holder, beats=before.beats + 1, term=term)
        write(self._key, codec.encode(Resource(self._key, spec)), *version)
        self.term = term
        return True

    def _find(self) -> Record | None:
        try:
            return self._store.get(self._key)
        except NotFound:
            return None

    def _read(self, record: Record) -> LeaseSpec:
        """Take a record that cannot be read for a stranger's, so that somebody takes it over when it stands still."""
        try:
            spec: LeaseSpec = codec.decode(self._kind, record).spec
        except UnreadableResource:
            return LeaseSpec(holder="unreadable")
        return spec
