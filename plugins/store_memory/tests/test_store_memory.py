"""The memory store keeps the contract, and some promises of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.config import Config
from kuma_core.sdk import Change, Op, Stop, Store, StoreFactory
from kuma_core.testing.stores import RESYNC, StoreSuite, Watching, key, watching
from kuma_store_memory.store import BACKLOG, MemoryStore, open_store

NO_CONFIG = Config([], {}, {})


class TestMemoryStore(StoreSuite):
    BACKLOG = BACKLOG

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with open_store(NO_CONFIG) as store:
            yield store


def test_the_plugin_brings_the_store_named_memory() -> None:
    (factory,) = kuma_store_memory.kuma_register_stores()
    assert isinstance(factory, StoreFactory)
    assert factory.name == "memory"


def test_a_store_is_empty_each_time_it_is_opened() -> None:
    with open_store(NO_CONFIG) as store:
        store.create(key("a"), "{}")
    with open_store(NO_CONFIG) as store:
        assert store.list("Thing") == []


def test_a_watcher_that_is_too_slow_gets_one_resync_for_all_that_it_missed() -> None:
    store = MemoryStore(backlog=3)
    go_on = threading.Event()
    watch = Watching(store, lambda _: None if go_on.wait(10) else pytest.fail("never let go"))
    with watching(store) as quick:
        watch.thread.start()
        for number in range(20):
            store.create(key(f"a{number}"), "{}")
            quick.wait_for(Change(Op.PUT, key(f"a{number}")))
        go_on.set()
        watch.wait_for(Change(Op.PUT, key("a19")))
        watch.stop.set()
        watch.thread.join(timeout=10)
    assert watch.changes.count(RESYNC) >= 1
    assert len(watch.changes) <= 4
    assert [change.key.name for change in quick.changes if change.key] == [f"a{n}" for n in range(20)]


def test_a_watch_that_ended_is_forgotten() -> None:
    store = MemoryStore()
    for _ in range(3):
        with watching(store):
            pass
    assert store._watchers == []


def test_a_watch_that_failed_leaves_nothing_with_whoever_goes_on() -> None:
    store, stop = MemoryStore(), Stop()

    def fail(change: Change) -> None:
        raise RuntimeError("no use for it")

    for _ in range(3):
        with pytest.raises(RuntimeError):
            store.watch(fail, stop)
    assert (store._watchers, stop._callbacks) == ([], [])
