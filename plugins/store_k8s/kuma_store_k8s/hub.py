"""What the watches of all collections say, told to everybody who watches the store.

A reflector for each type runs in a thread of its own from the first watcher on, until the store is closed. It keeps, of
each object, its version alone: changes are hints, and whoever cares reads. One collection that cannot be read, for a
right or a definition that is missing, costs the others nothing; an API server that is away for long ends every watch.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping

import structlog

from kuma_core.sdk import Change, KumaError, Op, Publish, ResourceKey, Stop, StoreUnavailable
from kuma_store_k8s.answers import ApiRefusal
from kuma_store_k8s.client import ApiClient, Json
from kuma_store_k8s.hints import Hints
from kuma_store_k8s.reflector import Reflector, place
from kuma_store_k8s.shapes import Shape
from kuma_store_k8s.watcher import Watcher

_log = structlog.get_logger("store-kubernetes")

BACKLOG = 10_000
"""How many changes a slow watcher may be behind; past that it gets one RESYNC instead."""
LOST_SECONDS = 2.0
"""For how long an API server may be away before watchers are told that it is lost."""
HOPELESS_SECONDS = 10.0
"""After how long a trouble with one collection no hint waits for it."""
START_SECONDS = 30.0
"""How long a watcher waits for the first look at every collection."""

CLOSED = "the store is closed"

Items = dict[str, tuple[ResourceKey, str]]


class Hub:
    """The reflectors of one store, and its watchers. Safe for use from several threads."""

    def __init__(self, client: ApiClient, namespace: str, backlog: int = BACKLOG) -> None:
        self._client, self._backlog = client, backlog
        self._changed = threading.Condition()
        self._shapes: dict[str, Shape] = {}
        self._left_out: frozenset[str] = frozenset()
        self._followers: dict[str, _Follower] = {}
        self._watchers: list[Watcher] = []
        self._end = Stop()
        self._threads: list[threading.Thread] = []
        self._own = uuid.uuid4().hex
        self._count = 0
        self._hints = Hints(client, namespace, self)

    # -- what the store calls

    def follow(self, shapes: Mapping[str, Shape]) -> None:
        """Follow these types, once somebody watches."""
        with self._changed:
            self._shapes |= shapes

    def leave_out(self, types: Collection[str]) -> None:
        """Follow none of these."""
        with self._changed:
            self._left_out = frozenset(types)

    def wrote(self, type: str, version: str) -> None:
        """Take note of a write of this store's own: hints are told after it."""
        with self._changed:
            if follower := self._followers.get(type):
                follower.written = max(follower.written, int(version))

    def close(self) -> None:
        """End every watch."""
        self._end.set()
        with self._changed:
            self._changed.notify_all()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join()

    def word(self) -> str:
        """Another word whenever something was told; empty while a collection is not read as it should be."""
        self._start()
        with self._changed:
            is_well = all(follower.is_well for follower in self._followers.values())
            return f"{self._own}-{self._count}" if is_well else ""

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish what happens until ``stop`` is set. Raises ``StoreUnavailable``."""
        self._start()
        watcher = Watcher(self._backlog, self._changed)
        with stop.calling(watcher.wake):
            if not self._attach(watcher, stop):
                return
            try:
                while not stop.is_set():
                    for change in watcher.take(lambda: stop.is_set() or self._end.is_set()):
                        if stop.is_set():
                            return
                        publish(change)
                    if self._end.is_set():
                        raise StoreUnavailable(CLOSED)
            finally:
                with self._changed:
                    self._watchers.remove(watcher)

    def tell(self, key: ResourceKey) -> None:
        """Publish a ``PUT`` of a key through every store over this cluster. Raises ``StoreUnavailable``."""
        self._hints.tell(key)

    # -- what hints need

    def heard(self) -> Mapping[str, int]:
        """The last version of each type that we wrote, or heard of."""
        with self._changed:
            known = {type: max(item.version, item.written) for type, item in self._followers.items()}
            return {type: version for type, version in known.items() if version}

    def wait_until_heard(self, versions: Mapping[str, int], seconds: float) -> None:
        """Wait until we have heard of as much as somebody else, for so long."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._end.is_set()
                    or all(
                        follower.version >= versions.get(type, 0) or follower.is_hopeless
                        for type, follower in self._followers.items()
                    )
                ),
                seconds,
            )

    def publish(self, change: Change) -> None:
        """Tell every watcher."""
        with self._changed:
            self._tell(change)

    # -- what followers call

    def told(self, changes: Collection[Change]) -> None:
        """Tell every watcher, and count."""
        with self._changed:
            for change in changes:
                self._count += 1
                self._tell(change)
            self._changed.notify_all()

    def noted(self) -> None:
        """Something is other than before; look whether the API server is lost."""
        with self._changed:
            problem = self._lost()
            for watcher in self._watchers if problem else ():
                watcher.fail(problem)
            self._changed.notify_all()

    # -- inside

    def _tell(self, change: Change) -> None:
        for watcher in self._watchers:
            watcher.add(change)

    def _lost(self) -> str:
        now = time.monotonic()
        away = [item for item in self._followers.values() if item.away_since]
        return next((item.problem for item in away if now - item.away_since > LOST_SECONDS), "")

    def _start(self) -> None:
        with self._changed:
            if self._threads or self._end.is_set():
                return
            for type, shape in self._shapes.items():
                if type not in self._left_out:
                    self._followers[type] = _Follower(type, shape, self)
            followers = [
                (name, Reflector(self._client, item.shape.collection, item.shape.selection, item), item)
                for name, item in self._followers.items()
            ]
            for name, reflector, follower in followers:
                follower.hurry = reflector.hurry
                self._run(f"store-kubernetes-{name}", reflector)
            self._run("store-kubernetes-hints", self._hints.reflector())

    def _run(self, name: str, reflector: Reflector) -> None:
        thread = threading.Thread(target=reflector.run, args=(self._end,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _attach(self, watcher: Watcher, stop: Stop) -> bool:
        """Take the watcher in once every collection was looked at, by a look that began after now if it was away."""
        with self._changed:
            looks = {name: item.looks for name, item in self._followers.items() if item.away_since}
            for name in looks:
                self._followers[name].hurry()

            def is_settled() -> bool:
                return (
                    stop.is_set()
                    or self._end.is_set()
                    or all(
                        item.is_looked_at and item.looks > looks.get(name, -1)
                        for name, item in self._followers.items()
                    )
                )

            if not self._changed.wait_for(is_settled, START_SECONDS):
                raise StoreUnavailable(f"{self._client.where} has not answered for {START_SECONDS:.0f} s")
            problem = next((item.problem for item in self._followers.values() if item.away_since), "")
            if stop.is_set():
                return False
            if problem or self._end.is_set():
                raise StoreUnavailable(problem or CLOSED)
            self._watchers.append(watcher)
            return True


class _Follower:
    """One type as its reflector tells it; all of it is guarded by the hub's lock, but for what its thread alone has."""

    def __init__(self, type: str, shape: Shape, hub: Hub) -> None:
        self.type, self.shape = type, shape
        self.version = self.written = 0
        self.problem = ""
        self.away_since = self.troubled_since = 0.0
        self.is_well = self.is_looked_at = False
        self.looks = 0
        self.hurry: Callable[[], None] = lambda: None
        self._hub = hub
        self._items: Items = {}

    @property
    def is_hopeless(self) -> bool:
        """Whether it has been in trouble for so long that nobody waits for it."""
        return bool(self.troubled_since) and time.monotonic() - self.troubled_since > HOPELESS_SECONDS

    def replaced(self, items: Mapping[str, Json]) -> None:
        """Tell what is other than it was, and what is gone."""
        found = {where: known for where, item in items.items() if (known := self._known(item))}
        changes = [
            Change(Op.PUT, key, version)
            for where, (key, version) in found.items()
            if self._items.get(where) != (key, version)
        ]
        gone = {key for key, _ in self._items.values()} - {key for key, _ in found.values()}
        self._items = found
        self.version = max((int(version) for _, version in found.values()), default=0)
        self.written = 0
        self._hub.told([*changes, *(Change(Op.DELETE, key) for key in sorted(gone))])

    def put(self, item: Json) -> None:
        """Tell a write; of an object that went to another mesh, its end in the one before, too."""
        known = self._known(item)
        before = self._items.pop(place(item), None)
        changes = []
        if before and (known is None or known[0] != before[0]):
            changes.append(Change(Op.DELETE, before[0]))
        if known:
            self._items[place(item)] = known
            changes.append(Change(Op.PUT, *known))
        self._note_version(item)
        self._hub.told(changes)

    def deleted(self, item: Json) -> None:
        """Tell a deletion."""
        before = self._items.pop(place(item), None)
        known = before or self._known(item)
        self._note_version(item)
        self._hub.told([Change(Op.DELETE, known[0])] if known else [])

    def settled(self) -> None:
        """The watch is open."""
        if self.problem:
            _log.info("the watch of a collection is back", collection=self.shape.collection)
        self.problem, self.away_since, self.troubled_since = "", 0.0, 0.0
        self.is_well = self.is_looked_at = True
        self._looked()

    def troubled(self, problem: StoreUnavailable) -> None:
        """Note it: an answer that says no is about this collection alone."""
        is_away = not isinstance(problem, ApiRefusal)
        if not self.problem and not is_away:
            _log.warning(
                "a collection cannot be watched", collection=self.shape.collection, problem=str(problem)
            )
        self.troubled_since = self.troubled_since or time.monotonic()
        self.problem, self.is_well = str(problem), False
        self.is_looked_at = True
        self.away_since = (self.away_since or time.monotonic()) if is_away else 0.0
        self._looked()

    def _looked(self) -> None:
        self.looks += 1
        self._hub.noted()

    def _known(self, item: Json) -> tuple[ResourceKey, str] | None:
        try:
            record = self.shape.record(item)
        except KumaError:
            return None
        return record.key, record.version

    def _note_version(self, item: Json) -> None:
        self.version = max(self.version, int(item["metadata"]["resourceVersion"]))
