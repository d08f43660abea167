"""The memory store: one dictionary behind one lock, and a bounded queue for each watcher."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from kuma_core.sdk import (
    AlreadyExists,
    Change,
    Config,
    Conflict,
    Op,
    Publish,
    Record,
    ResourceKey,
    Stop,
    not_found,
)

BACKLOG = 10_000
"""How many changes a slow watcher may be behind; past that it gets one RESYNC instead."""


class MemoryStore:
    """Keeps records until the process ends. See ``kuma_core.sdk.Store`` for what each verb does."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._lock = threading.Lock()
        self._records: dict[ResourceKey, Record] = {}
        self._versions = itertools.count(1)
        self._told = 0
        self._untold: frozenset[str] = frozenset()
        self._watchers: list[_Watcher] = []
        self._backlog = backlog

    def get(self, key: ResourceKey) -> Record:
        """The record of that key."""
        with self._lock:
            return self._get(key)

    def list(self, type: str, mesh: str | None = None) -> list[Record]:
        """All records of a type, sorted by mesh and name."""
        with self._lock:
            found = [
                record
                for key, record in self._records.items()
                if key.type == type and (mesh is None or key.mesh == mesh)
            ]
        return sorted(found, key=lambda record: record.key)

    def create(self, key: ResourceKey, document: str) -> Record:
        """Store a new record."""
        with self._lock:
            if key in self._records:
                raise AlreadyExists(f"Resource already exists: {key}")
            return self._write(key, document)

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        """Replace a record of a known version."""
        with self._lock:
            current = self._records.get(key)
            if current is None or current.version != version:
                raise Conflict(f"Resource conflict: {key}")
            return self._write(key, document)

    def delete(self, key: ResourceKey) -> None:
        """Remove a record."""
        with self._lock:
            self._get(key)
            del self._records[key]
            self._notify(Change(Op.DELETE, key))

    def delete_exactly(self, key: ResourceKey, version: str) -> None:
        """Remove a record of a known version."""
        with self._lock:
            if self._get(key).version != version:
                raise Conflict(f"Resource conflict: {key}")
            del self._records[key]
            self._notify(Change(Op.DELETE, key))

    def leave_untold(self, types: Collection[str]) -> None:
        """Wake no watcher for writes of these types."""
        with self._lock:
            self._untold = frozenset(types)

    def tell(self, key: ResourceKey) -> None:
        """Publish a write of a record whose type is left untold."""
        with self._lock:
            self._publish(Change(Op.PUT, key))

    def counter(self) -> str:
        """How many writes there were that watchers heard of."""
        with self._lock:
            return str(self._told)

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish changes until ``stop`` is set."""
        watcher = _Watcher(self._backlog)
        with self._lock:
            self._watchers.append(watcher)
        try:
            with stop.calling(watcher.wake):
                while not stop.is_set():
                    for change in watcher.take(stop):
                        publish(change)
        finally:
            with self._lock:
                self._watchers.remove(watcher)

    def _get(self, key: ResourceKey) -> Record:
        try:
            return self._records[key]
        except KeyError:
            raise not_found(key) from None

    def _write(self, key: ResourceKey, document: str) -> Record:
        """Versions come from one counter, so that none repeats for a key, not even after a deletion."""
        record = Record(key, document, str(next(self._versions)))
        self._records[key] = record
        self._notify(Change(Op.PUT, key, record.version))
        return record

    def _notify(self, change: Change) -> None:
        if change.key and change.key.type not in self._untold:
            self._told += 1
            self._publish(change)

    def _publish(self, change: Change) -> None:
        for watcher in self._watchers:
            watcher.add(change)


class _Watcher:
    """What one watcher has not seen yet; it begins with a RESYNC."""

    def __init__(self, backlog: int) -> None:
        self._changed = threading.Condition()
        self._backlog = backlog
        self._waiting: deque[Change] = deque([Change(Op.RESYNC)])

    def add(self, change: Change) -> None:
        with self._changed:
            if len(self._waiting) >= self._backlog:
                self._waiting = deque([Change(Op.RESYNC)])
            else:
                self._waiting.append(change)
            self._changed.notify()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def take(self, stop: Stop) -> Iterator[Change]:
        """Everything that waits, after waiting for something; nothing once ``stop`` is set."""
        with self._changed:
            while not self._waiting and not stop.is_set():
                self._changed.wait()
            taken, self._waiting = self._waiting, deque()
        return iter(taken)


@contextmanager
def open_store(config: Config) -> Iterator[MemoryStore]:
    """A new, empty store; it reads nothing from the configuration."""
    del config
    yield MemoryStore()
