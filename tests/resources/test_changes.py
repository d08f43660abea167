"""The feed of changes: one watch, kept alive, for every listener."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from kuma_core.errors import StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources import changes
from kuma_core.resources.changes import ChangeFeed, SlowTick
from kuma_core.resources.contract import Change, Op, Publish, Store
from kuma_core.testing.waiting import eventually

RESYNC = Change(Op.RESYNC)
PUT = Change(Op.PUT, ResourceKey("Card", "default", "a"))


class Watched:
    """A store whose watch breaks as often as it is told to."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.attached = 0

    def watch(self, publish: Publish, stop: Stop) -> None:
        self.attached += 1
        publish(RESYNC)
        if self.attached <= self.breaks:
            raise StoreUnavailable("the line is dead")
        publish(PUT)
        stop.wait(20)


def run(feed: ChangeFeed) -> tuple[threading.Thread, Stop]:
    stop = Stop()
    thread = threading.Thread(target=feed.run, args=(stop,), daemon=True)
    thread.start()
    return thread, stop


def test_every_listener_is_told_and_a_broken_watch_is_attached_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(changes, "FIRST_DELAY", 0.001)
    store = Watched(breaks=3)
    feed = ChangeFeed(cast(Store, store))
    seen: list[list[Change]] = [[], []]
    for listened in seen:
        feed.listen(listened.append)
    thread, stop = run(feed)
    eventually(lambda: PUT in seen[0] and PUT in seen[1])
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert seen[0] == seen[1] == [RESYNC] * 4 + [PUT]
    assert store.attached == 4


class Away:
    """A store that cannot be watched for a while, then can, and then breaks again."""

    def __init__(self) -> None:
        self.attempts = 0

    def watch(self, publish: Publish, stop: Stop) -> None:
        self.attempts += 1
        if self.attempts == 4:
            publish(RESYNC)
        if self.attempts < 6:
            raise StoreUnavailable("nobody there")
        stop.wait(20)


def test_the_delay_grows_while_nobody_is_there_and_begins_anew_once_attached(monkeypatch: Any) -> None:
    monkeypatch.setattr(changes, "FIRST_DELAY", 0.001)
    store = Away()
    with capture_logs() as logs:
        thread, stop = run(ChangeFeed(cast(Store, store)))
        eventually(lambda: store.attempts == 6)
        stop.set()
        thread.join(timeout=5)
    assert [entry["seconds"] for entry in logs] == [0.001, 0.002, 0.004, 0.001, 0.002]


def test_stop_ends_the_wait_for_the_next_attempt(monkeypatch: Any) -> None:
    monkeypatch.setattr(changes, "FIRST_DELAY", 60.0)
    store = Watched(breaks=1_000)
    thread, stop = run(ChangeFeed(cast(Store, store)))
    eventually(lambda: store.attached == 1)
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert store.attached == 1


class Counted(Watched):
    """A store that counts, or is away."""

    def __init__(self) -> None:
        super().__init__(breaks=0)
        self.word: str | None = "1"
        self.asked = 0

    def counter(self) -> str:
        self.asked += 1
        if self.word is None:
            raise StoreUnavailable("nobody there")
        return self.word


def told_by(store: Any) -> tuple[ChangeFeed, list[Change]]:
    feed, seen = ChangeFeed(cast(Store, store)), []
    feed.listen(seen.append)
    return feed, seen


def test_what_a_store_counts_is_read_again_only_if_the_counter_moved() -> None:
    store = Counted()
    feed, seen = told_by(store)
    thread, stop = run(feed)
    eventually(lambda: seen == [RESYNC, PUT])
    feed.make_sure()
    assert seen == [RESYNC, PUT], "nothing was written since the watch was attached"
    for word, expected in (
        ("2", 1),
        ("2", 1),
        ("", 2),
        ("", 3),
        ("2", 4),
        ("2", 4),
        (None, 5),
        ("2", 6),
        ("2", 6),
    ):
        store.word = word
        feed.make_sure()
        assert seen == [RESYNC, PUT, *[RESYNC] * expected], word
    stop.set()
    thread.join(timeout=5)


def test_a_write_that_is_just_under_way_has_nothing_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Counted()
    feed, seen = told_by(store)
    feed.make_sure()
    assert seen == [RESYNC]
    words = iter(["", "", "1"])
    monkeypatch.setattr(store, "counter", lambda: next(words))
    feed.make_sure()
    assert seen == [RESYNC]


def test_a_store_without_a_counter_is_read_again_at_every_tick() -> None:
    feed, seen = told_by(Watched(breaks=0))
    feed.make_sure()
    feed.make_sure()
    assert seen == [RESYNC] * 2


def test_the_counter_is_read_before_those_who_listen_read_everything() -> None:
    """What is written in between is then counted as new, and read again."""
    store = Counted()
    feed, seen = told_by(store)
    feed.listen(lambda change: setattr(store, "word", "2"))
    feed.make_sure()
    feed.make_sure()
    assert seen == [RESYNC] * 2


def test_the_tick_asks_at_its_times_and_ends_at_once(monkeypatch: Any) -> None:
    monkeypatch.setattr(changes, "RESYNC_SECONDS", 0.01)
    store = Counted()
    feed, seen = told_by(store)
    stop = Stop()
    thread = threading.Thread(target=SlowTick(feed).run, args=(stop,), daemon=True)
    thread.start()
    eventually(lambda: store.asked > 3)
    monkeypatch.setattr(changes, "RESYNC_SECONDS", 60.0)
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert seen == [RESYNC]
