"""The feed of changes: one watch, kept alive, for every listener."""

from __future__ import annotations

import threading
from typing import Any, cast

from structlog.testing import capture_logs

from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources import changes
from kuma_core.resources.changes import ChangeFeed
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
            raise ConnectionError("the line is dead")
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
            raise ConnectionError("nobody there")
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
