"""What the tests of stores share: keys, watches in threads of their own, and many calls at once."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from kuma_core.errors import NotFound, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op, Store
from kuma_core.testing.waiting import eventually

WRITERS = 8
"""How many threads write at once where a test is about writing at once."""

RESYNC = Change(Op.RESYNC)

T = TypeVar("T")


def key(name: str, mesh: str = "default", type: str = "Thing") -> ResourceKey:
    """A key for tests; to a store every type is the same."""
    return ResourceKey(type, mesh, name)


class Watching:
    """A watch that runs in a thread of its own: what it has published, and how it ended."""

    def __init__(self, store: Store, seen: Callable[[Change], None] | None = None) -> None:
        self.changes: list[Change] = []
        self.stop = Stop()
        self.failure: BaseException | None = None
        self._store = store
        self._seen = seen
        self.thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def _run(self) -> None:
        try:
            self._store.watch(self._publish, self.stop)
        except BaseException as error:  # noqa: BLE001 - handed to the test that waits for the watch
            self.failure = error

    def _publish(self, change: Change) -> None:
        if self._seen:
            self._seen(change)
        self.changes.append(change)

    def wait_for(self, change: Change) -> None:
        """Wait until the change was published; fails if the watch ended instead."""
        eventually(lambda: self.failure or change in self.changes, what=f"the published change {change}")
        assert self.failure is None, self.failure


@contextmanager
def watching(store: Store, seen: Callable[[Change], None] | None = None) -> Iterator[Watching]:
    """A watch that is attached already; ``seen`` is called with each change, in the watching thread."""
    watch = Watching(store, seen)
    watch.thread.start()
    try:
        watch.wait_for(RESYNC)
        yield watch
    finally:
        watch.stop.set()
        watch.thread.join(timeout=10)
    assert not watch.thread.is_alive(), "the watch does not end although it was told to"


def at_once(work: Callable[[int], object], times: int = WRITERS) -> list[object]:
    """Call ``work(0)``, ``work(1)``, … in as many threads, all let go together.

    Returns the results or errors, in order. Threads are switched as often as can be, so that a step that is
    not atomic is found out.
    """
    gate = threading.Barrier(times)

    def run(index: int) -> object:
        gate.wait(timeout=10)
        try:
            return work(index)
        except Exception as error:  # noqa: BLE001 - the test judges it
            return error

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(run, range(times)))
    finally:
        sys.setswitchinterval(interval)


def content(document: str) -> Any:
    """What a document says; a flag is no number here, as it is to Python."""
    return _plain(json.loads(document))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return ("flag", value) if isinstance(value, bool) else value


def available(verb: Callable[[], T]) -> T | None:
    """What the verb gives, or ``None`` as long as the store is unavailable."""
    try:
        return verb()
    except StoreUnavailable:
        return None


def holds(store: Store, record_key: ResourceKey) -> bool:
    """Whether the record is there."""
    try:
        return bool(store.get(record_key))
    except NotFound:
        return False


def require(value: bool) -> None:
    assert value
