"""What a store tells those who watch it."""

from __future__ import annotations

import threading

import pytest

from kuma_core.errors import AlreadyExists, Conflict, NotFound
from kuma_core.resources.contract import Change, Op, QuietStore, Store, TellingStore
from kuma_core.testing.stores.parts import StoreParts
from kuma_core.testing.stores.tools import RESYNC, Watching, content, holds, require, watching


class Watches(StoreParts):
    """The watch."""

    # -- watch

    def test_watch_begins_with_a_resync(self, store: Store) -> None:
        store.create(self.key("old"), "{}")
        with watching(store) as watch:
            store.create(self.key("new"), "{}")
            watch.wait_for(Change(Op.PUT, self.key("new")))
        assert watch.changes[0] == RESYNC

    def test_watch_publishes_every_write(self, store: Store, other: Store) -> None:
        for writer in (store, other):
            with watching(store) as watch:
                record = writer.create(self.key("a"), "{}")
                watch.wait_for(Change(Op.PUT, self.key("a")))
                watch.changes.clear()
                writer.update(self.key("a"), '{"n":1}', record.version)
                watch.wait_for(Change(Op.PUT, self.key("a")))
                writer.delete(self.key("a"))
                watch.wait_for(Change(Op.DELETE, self.key("a")))

    def test_a_refused_write_is_not_published(self, store: Store) -> None:
        store.create(self.key("a"), "{}")
        with watching(store) as watch:
            for refused in (
                lambda: store.create(self.key("a"), "{}"),
                lambda: store.update(self.key("a"), "{}", "wrong"),
                lambda: store.delete(self.key("b")),
            ):
                with pytest.raises((AlreadyExists, Conflict, NotFound)):
                    refused()
            store.create(self.key("last"), "{}")
            watch.wait_for(Change(Op.PUT, self.key("last")))
        assert watch.changes == [RESYNC, Change(Op.PUT, self.key("last"))]

    def test_a_write_is_published_after_its_commit(self, store: Store, other: Store) -> None:
        """Whoever reads when it is told finds what it is told of, through any connection."""
        found: list[int] = []

        def read(change: Change) -> None:
            if change.op is Op.PUT and change.key:
                found.append(content(other.get(change.key).document)["n"])

        keys = [self.key(f"a{number}") for number in range(50)]
        with watching(store, read) as watch:
            for number, item in enumerate(keys):
                store.create(item, f'{{"n":{number}}}')
            watch.wait_for(Change(Op.PUT, keys[-1]))
        assert found == list(range(50))

    def test_publish_may_call_every_verb(self, store: Store) -> None:
        done = threading.Event()

        def use(change: Change) -> None:
            if change.key == self.key("signal") and change.op is Op.PUT:
                record = store.create(self.key("x", type=self.OTHER), "{}")
                store.update(record.key, '{"n":1}', record.version)
                assert store.get(record.key).document == store.list(self.OTHER)[0].document
                store.delete(record.key)
                done.set()

        with watching(store, use) as watch:
            store.create(self.key("signal"), "{}")
            assert done.wait(10), "a verb blocks when it is called from publish"
            watch.wait_for(Change(Op.DELETE, self.key("x", type=self.OTHER)))

    def test_every_watcher_is_told(self, store: Store) -> None:
        with watching(store) as first, watching(store) as second:
            store.create(self.key("a"), "{}")
            first.wait_for(Change(Op.PUT, self.key("a")))
            second.wait_for(Change(Op.PUT, self.key("a")))
            first.stop.set()
            first.thread.join(timeout=10)
            store.delete(self.key("a"))
            second.wait_for(Change(Op.DELETE, self.key("a")))
        assert Change(Op.DELETE, self.key("a")) not in first.changes

    def test_a_slow_watcher_stops_no_writer_and_gets_a_resync(self, store: Store) -> None:
        """Instead of every change that it has missed: they would fill the memory."""
        attached, go_on, last_is_known = (threading.Event() for _ in range(3))
        record, last = store.create(self.key("a"), "{}"), self.key("last")

        def read(change: Change) -> None:
            """Hang at first; then do as everybody does: a RESYNC has all read anew, so it stands for any change."""
            if not attached.is_set():
                attached.set()
                require(go_on.wait(60))
            elif change in (RESYNC, Change(Op.PUT, last)) and holds(store, last):
                last_is_known.set()

        watch = Watching(store, read)
        watch.thread.start()
        try:
            assert attached.wait(10)
            for number in range(
                2 * self.BACKLOG - 10
            ):  # twice: many may be under way when the watcher goes on
                record = store.update(self.key("a"), f'{{"n":{number}}}', record.version)
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
        store.create(self.key("a"), "{}")
        assert content(store.get(self.key("a")).document) == {}

    # -- hints about writes that are left untold, where a store keeps silent about some

    def test_writes_of_a_type_that_is_left_untold_are_told_on_demand_alone(
        self, store: Store, other: Store
    ) -> None:
        """Both connections are told not to tell, as all control planes over one store tell theirs."""
        if not (isinstance(store, QuietStore) and isinstance(store, TellingStore)):
            pytest.skip("does not apply: this store tells of every write")
        for connection in (store, other):
            assert isinstance(connection, QuietStore)
            connection.leave_untold([self.QUIET])
        quiet = self.key("a", type=self.QUIET)
        with watching(other) as watch:
            store.create(quiet, "{}")
            store.create(self.key("b"), "{}")
            watch.wait_for(Change(Op.PUT, self.key("b")))
            assert watch.changes == [RESYNC, Change(Op.PUT, self.key("b"))]
            store.tell(quiet)
            watch.wait_for(Change(Op.PUT, quiet))
