"""The contract of a store, as tests. A store plugin passes them by subclassing ``StoreSuite`` in a few lines.

::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with open_my_empty_store() as store:
                yield store

Nothing here knows any particular store; what is checked is ``kuma_core.resources.contract``.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import pytest

from kuma_core.errors import AlreadyExists, Conflict, NotFound, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import (
    Change,
    CountedStore,
    Op,
    QuietStore,
    Record,
    Store,
    TellingStore,
)
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


class StoreSuite:
    """What every store promises. Subclasses define the fixture ``store``; it gives an empty, open store."""

    UPDATES = 1000
    """How often each of the writers updates in the test of compare-and-set."""

    BACKLOG = 10_000
    """How many changes the store keeps for a watcher that is slow."""

    PATIENCE = 30.0
    """For how many seconds what a slow watcher is owed may be awaited."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An open store that holds nothing. To be overridden."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def other(self, store: Store) -> Store:
        """The same content through another connection; override it where several processes share a store."""
        return store

    @pytest.fixture
    def outage(self, store: Store) -> Callable[[], AbstractContextManager[None]]:
        """``with outage():`` the backend cannot be reached; override it where there is one that can be lost."""
        pytest.skip("does not apply: this store has no backend that could be lost")

    # -- get, create, update, delete

    def test_get_returns_what_create_stored(self, store: Store) -> None:
        created = store.create(key("a"), '{"n":1}')
        assert created == Record(key("a"), '{"n":1}', created.version)
        assert created.version != ""
        assert store.get(key("a")) == created

    def test_get_of_what_is_not_there(self, store: Store) -> None:
        with pytest.raises(NotFound) as caught:
            store.get(key("nobody"))
        assert str(caught.value) == 'Resource not found: type="Thing" name="nobody" mesh="default"'

    def test_create_of_what_is_there_changes_nothing(self, store: Store) -> None:
        first = store.create(key("a"), '{"n":1}')
        with pytest.raises(AlreadyExists, match='name="a"'):
            store.create(key("a"), '{"n":2}')
        assert store.get(key("a")) == first

    def test_update_replaces_and_gives_a_new_version(self, store: Store) -> None:
        first = store.create(key("a"), '{"n":1}')
        second = store.update(key("a"), '{"n":2}', first.version)
        assert second.document == '{"n":2}'
        assert second.version != first.version
        assert store.get(key("a")) == second

    def test_update_to_an_equal_document_gives_a_new_version_too(self, store: Store) -> None:
        first = store.create(key("a"), "{}")
        assert store.update(key("a"), "{}", first.version).version != first.version

    def test_update_of_another_version_is_a_conflict(self, store: Store) -> None:
        first = store.create(key("a"), '{"n":1}')
        second = store.update(key("a"), '{"n":2}', first.version)
        for version in (first.version, "", "no version at all"):
            with pytest.raises(Conflict, match='name="a"'):
                store.update(key("a"), '{"n":3}', version)
        assert store.get(key("a")) == second

    def test_update_of_what_is_gone_is_a_conflict(self, store: Store) -> None:
        gone = store.create(key("a"), "{}")
        store.delete(key("a"))
        with pytest.raises(Conflict):
            store.update(key("a"), "{}", gone.version)
        with pytest.raises(Conflict):
            store.update(key("never"), "{}", gone.version)
        assert store.list("Thing") == []

    def test_delete_removes(self, store: Store) -> None:
        store.create(key("a"), "{}")
        store.delete(key("a"))
        with pytest.raises(NotFound):
            store.get(key("a"))
        with pytest.raises(NotFound, match='name="a"'):
            store.delete(key("a"))

    def test_versions_of_a_key_never_repeat(self, store: Store) -> None:
        """Also not after it was deleted and created again, as often as it may be."""
        versions = []
        for _ in range(5):
            record = store.create(key("a"), "{}")
            versions.append(record.version)
            for _ in range(3):
                record = store.update(key("a"), "{}", record.version)
                versions.append(record.version)
            store.delete(key("a"))
        assert len(set(versions)) == len(versions)

    def test_a_version_from_before_a_deletion_does_not_update(self, store: Store) -> None:
        before = store.create(key("a"), '{"n":1}')
        store.delete(key("a"))
        after = store.create(key("a"), '{"n":1}')
        with pytest.raises(Conflict):
            store.update(key("a"), '{"n":2}', before.version)
        assert store.get(key("a")) == after

    @pytest.mark.parametrize(
        "document",
        [
            '{ "b" : 1,  "a":\n2 }',
            '{"text":"Grüße 漢字 🚀 \\u0000 \\" \\\\"}',
            '{"number":12345678901234567890123,"float":1.0,"exponent":1E3}',
            '{"twice":1,"twice":2}',
            json.dumps({"long": "x" * 300_000}),
        ],
        ids=["spaces and order", "characters", "numbers", "repeated keys", "300 kB"],
    )
    def test_a_document_comes_back_character_by_character(self, store: Store, document: str) -> None:
        record = store.create(key("a"), document)
        assert store.get(key("a")).document == document
        assert store.list("Thing")[0].document == document
        assert store.update(key("a"), document, record.version).document == document

    # -- list and isolation

    def test_list_of_nothing(self, store: Store) -> None:
        assert store.list("Thing") == []
        assert store.list("Thing", "nowhere") == []

    def test_list_is_sorted_by_mesh_and_name(self, store: Store) -> None:
        """By code points: no language's own order counts."""
        names = ["b", "a_1", "aa", "a-1", "a1", "a", "10", "9", "-", "_"]
        for mesh in ("m_2", "m", "m-1"):
            for name in names:
                store.create(key(name, mesh), "{}")
        expected = [(mesh, name) for mesh in sorted(["m_2", "m", "m-1"]) for name in sorted(names)]
        assert [(r.key.mesh, r.key.name) for r in store.list("Thing")] == expected
        assert [r.key.name for r in store.list("Thing", "m-1")] == sorted(names)

    def test_types_and_meshes_are_apart(self, store: Store) -> None:
        keys = [key("a", mesh, type) for mesh in ("one", "two") for type in ("Thing", "Other")]
        for index, item in enumerate(keys):
            store.create(item, f'{{"n":{index}}}')
        assert [store.get(item).document for item in keys] == [f'{{"n":{n}}}' for n in range(4)]
        assert [r.key for r in store.list("Thing", "two")] == [key("a", "two", "Thing")]
        store.delete(key("a", "one", "Thing"))
        assert [r.key for r in store.list("Thing")] == [key("a", "two", "Thing")]
        assert len(store.list("Other")) == 2
        with pytest.raises(Conflict):
            store.update(key("a", "one", "Thing"), "{}", store.get(key("a", "two", "Thing")).version)

    def test_every_connection_sees_the_same(self, store: Store, other: Store) -> None:
        first = store.create(key("a"), "{}")
        assert other.get(key("a")) == first
        second = other.update(key("a"), '{"n":2}', first.version)
        assert store.list("Thing") == [second]
        other.delete(key("a"))
        assert store.list("Thing") == []

    # -- many at once

    def test_compare_and_set_loses_no_update(self, store: Store, other: Store) -> None:
        store.create(key("counter"), "0")
        conflicts = at_once(lambda index: self._count_up((store, other)[index % 2]))
        assert all(isinstance(item, int) for item in conflicts), conflicts
        assert int(store.get(key("counter")).document) == WRITERS * self.UPDATES

    def _count_up(self, store: Store) -> int:
        """Add one to the counter, again and again; how often that was a conflict."""
        conflicts = 0
        for _ in range(self.UPDATES):
            while True:
                record = store.get(record_key := key("counter"))
                try:
                    store.update(record_key, str(int(record.document) + 1), record.version)
                    break
                except Conflict:
                    conflicts += 1
        return conflicts

    def test_of_many_creators_one_succeeds(self, store: Store) -> None:
        for round_ in range(5):
            results = at_once(lambda index, name=f"a{round_}": store.create(key(name), str(index)))  # type: ignore[misc]
            winners = [item for item in results if isinstance(item, Record)]
            assert len(winners) == 1, results
            assert sum(isinstance(item, AlreadyExists) for item in results) == WRITERS - 1
            assert store.get(key(f"a{round_}")) == winners[0]

    def test_of_many_deleters_one_succeeds(self, store: Store) -> None:
        store.create(key("a"), "{}")
        results = at_once(lambda _: store.delete(key("a")))
        assert sum(isinstance(item, NotFound) for item in results) == WRITERS - 1, results
        assert results.count(None) == 1

    # -- watch

    def test_watch_begins_with_a_resync(self, store: Store) -> None:
        store.create(key("old"), "{}")
        with watching(store) as watch:
            store.create(key("new"), "{}")
            watch.wait_for(Change(Op.PUT, key("new")))
        assert watch.changes[0] == RESYNC

    def test_watch_publishes_every_write(self, store: Store, other: Store) -> None:
        for writer in (store, other):
            with watching(store) as watch:
                record = writer.create(key("a"), "{}")
                watch.wait_for(Change(Op.PUT, key("a")))
                watch.changes.clear()
                writer.update(key("a"), "{}", record.version)
                watch.wait_for(Change(Op.PUT, key("a")))
                writer.delete(key("a"))
                watch.wait_for(Change(Op.DELETE, key("a")))

    def test_a_refused_write_is_not_published(self, store: Store) -> None:
        store.create(key("a"), "{}")
        with watching(store) as watch:
            for refused in (
                lambda: store.create(key("a"), "{}"),
                lambda: store.update(key("a"), "{}", "wrong"),
                lambda: store.delete(key("b")),
            ):
                with pytest.raises((AlreadyExists, Conflict, NotFound)):
                    refused()
            store.create(key("last"), "{}")
            watch.wait_for(Change(Op.PUT, key("last")))
        assert watch.changes == [RESYNC, Change(Op.PUT, key("last"))]

    def test_a_write_is_published_after_its_commit(self, store: Store, other: Store) -> None:
        """Whoever reads when it is told finds what it is told of, through any connection."""
        found: list[str] = []

        def read(change: Change) -> None:
            if change.op is Op.PUT and change.key:
                found.append(other.get(change.key).document)

        names = [f"a{number}" for number in range(50)]
        with watching(store, read) as watch:
            for name in names:
                store.create(key(name), name)
            watch.wait_for(Change(Op.PUT, key(names[-1])))
        assert found == names

    def test_publish_may_call_every_verb(self, store: Store) -> None:
        done = threading.Event()

        def use(change: Change) -> None:
            if change.key == key("signal") and change.op is Op.PUT:
                record = store.create(key("x", type="Other"), "{}")
                store.update(record.key, '{"n":1}', record.version)
                assert store.get(record.key).document == store.list("Other")[0].document
                store.delete(record.key)
                done.set()

        with watching(store, use) as watch:
            store.create(key("signal"), "{}")
            assert done.wait(10), "a verb blocks when it is called from publish"
            watch.wait_for(Change(Op.DELETE, key("x", type="Other")))

    def test_every_watcher_is_told(self, store: Store) -> None:
        with watching(store) as first, watching(store) as second:
            store.create(key("a"), "{}")
            first.wait_for(Change(Op.PUT, key("a")))
            second.wait_for(Change(Op.PUT, key("a")))
            first.stop.set()
            first.thread.join(timeout=10)
            store.delete(key("a"))
            second.wait_for(Change(Op.DELETE, key("a")))
        assert Change(Op.DELETE, key("a")) not in first.changes

    def test_a_slow_watcher_stops_no_writer_and_gets_a_resync(self, store: Store) -> None:
        """Instead of every change that it has missed: they would fill the memory."""
        attached, go_on, last_is_known = (threading.Event() for _ in range(3))
        record, last = store.create(key("a"), "{}"), key("last")

        def read(change: Change) -> None:
            """Hang at first; then do as everybody does: a RESYNC has all read anew, so it stands for any change."""
            if not attached.is_set():
                attached.set()
                _require(go_on.wait(60))
            elif change in (RESYNC, Change(Op.PUT, last)) and _holds(store, last):
                last_is_known.set()

        watch = Watching(store, read)
        watch.thread.start()
        try:
            assert attached.wait(10)
            for _ in range(2 * self.BACKLOG - 10):  # twice: many may be under way when the watcher goes on
                record = store.update(key("a"), "{}", record.version)
            go_on.set()
            store.create(last, "{}")
            assert last_is_known.wait(self.PATIENCE), "nothing was published that has the last write read"
        finally:
            go_on.set()
            watch.stop.set()
            watch.thread.join(timeout=10)
        assert watch.failure is None
        assert len(watch.changes) < 2 * self.BACKLOG - 10
        assert RESYNC in watch.changes[1:]

    def test_stop_ends_a_blocked_watch_at_once(self, store: Store) -> None:
        with watching(store) as watch:
            assert watch.thread.is_alive()
            watch.stop.set()
            watch.thread.join(timeout=2)
            assert not watch.thread.is_alive()
        assert watch.failure is None

    def test_a_watch_that_was_stopped_before_it_began_ends(self, store: Store) -> None:
        watch = Watching(store)
        watch.stop.set()
        watch.thread.start()
        watch.thread.join(timeout=2)
        assert not watch.thread.is_alive()

    def test_what_publish_raises_ends_the_watch_alone(self, store: Store) -> None:
        def fail(change: Change) -> None:
            raise RuntimeError(f"no use for {change.op}")

        watch = Watching(store, fail)
        watch.thread.start()
        watch.thread.join(timeout=10)
        assert isinstance(watch.failure, RuntimeError)
        store.create(key("a"), "{}")
        assert store.get(key("a")).document == "{}"

    # -- hints about writes that are left untold, where a store keeps silent about some

    def test_writes_of_a_type_that_is_left_untold_are_told_on_demand_alone(
        self, store: Store, other: Store
    ) -> None:
        """Both connections are told not to tell, as all control planes over one store tell theirs."""
        if not (isinstance(store, QuietStore) and isinstance(store, TellingStore)):
            pytest.skip("does not apply: this store tells of every write")
        for connection in (store, other):
            assert isinstance(connection, QuietStore)
            connection.leave_untold(["Quiet"])
        quiet = key("a", type="Quiet")
        with watching(other) as watch:
            store.create(quiet, "{}")
            store.create(key("b"), "{}")
            watch.wait_for(Change(Op.PUT, key("b")))
            assert watch.changes == [RESYNC, Change(Op.PUT, key("b"))]
            store.tell(quiet)
            watch.wait_for(Change(Op.PUT, quiet))

    # -- the counter, where a store has one

    @pytest.fixture
    def counted(self, store: Store, other: Store) -> Callable[[], str]:
        """The counter's word, which both connections agree on."""
        if not isinstance(store, CountedStore) or not isinstance(other, CountedStore):
            pytest.skip("does not apply: this store has no counter")
        counters = store.counter, other.counter

        def word() -> str:
            """Locks of an acknowledged write may outlive the acknowledgement by a moment."""
            mine, theirs = [eventually(counter) for counter in counters]
            assert mine == theirs
            return mine

        return word

    def test_the_counter_moves_with_every_write(
        self, store: Store, other: Store, counted: Callable[[], str]
    ) -> None:
        words = [counted()]
        for writer in (store, other):
            record = writer.create(key("a"), "{}")
            words.append(counted())
            writer.update(key("a"), "{}", record.version)
            words.append(counted())
            writer.delete(key("a"))
            words.append(counted())
        assert len(set(words)) == len(words) == 7

    def test_the_counter_rests_while_nothing_is_written(
        self, store: Store, other: Store, counted: Callable[[], str]
    ) -> None:
        store.create(key("a"), "{}")
        word = counted()
        for reader in (store, other):
            reader.get(key("a"))
            reader.list("Thing")
            with watching(reader):
                assert counted() == word
        assert counted() == word

    # -- the backend is lost

    def test_every_verb_is_unavailable_in_an_outage_and_works_after_it(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Nothing that was acknowledged is lost, and nobody has to open the store again."""
        kept = store.create(key("kept"), "{}")
        verbs: list[Callable[[], object]] = [
            lambda: store.get(kept.key),
            lambda: store.list("Thing"),
            lambda: store.create(key("new"), "{}"),
            lambda: store.update(kept.key, '{"n":1}', kept.version),
            lambda: store.delete(kept.key),
            lambda: store.watch(lambda change: None, Stop()),
        ]
        with outage():
            for verb in verbs:
                with pytest.raises(StoreUnavailable):
                    verb()
        assert eventually(lambda: _available(lambda: store.list("Thing")), 30) == [kept]
        assert store.update(kept.key, '{"n":2}', kept.version).document == '{"n":2}'

    def test_a_watch_raises_when_the_backend_is_lost_and_begins_anew(
        self, store: Store, outage: Callable[[], AbstractContextManager[None]]
    ) -> None:
        with watching(store) as watch:
            with outage():
                watch.thread.join(timeout=30)
            assert isinstance(watch.failure, StoreUnavailable)
        eventually(lambda: _available(lambda: [store.list("Thing")]), 30)
        with watching(store) as again:
            store.create(key("after"), "{}")
            again.wait_for(Change(Op.PUT, key("after")))
        assert again.changes[0] == RESYNC


def _available(verb: Callable[[], T]) -> T | None:
    """What the verb gives, or ``None`` as long as the store is unavailable."""
    try:
        return verb()
    except StoreUnavailable:
        return None


def _holds(store: Store, record_key: ResourceKey) -> bool:
    """Whether the record is there."""
    try:
        return bool(store.get(record_key))
    except NotFound:
        return False


def _require(value: bool) -> None:
    assert value


__all__ = ["RESYNC", "StoreSuite", "Watching", "at_once", "key", "watching"]
