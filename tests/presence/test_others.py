"""What control planes ask each other of an instance that leaves, by hints as a store's watch tells them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kuma_core.builtin.presence import others
from kuma_core.builtin.presence.others import ANSWER, QUESTION, Others, Standing
from kuma_core.errors import StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

FOUND = Standing(left=1, here=3, is_fresh=True)


class Telling(MemoryStore):
    """Tells hints to those who listen, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Callable[[Change], None]] = []
        self.told: list[ResourceKey] = []

    def tell(self, key: ResourceKey) -> None:
        self.told.append(key)
        for listener in self.listeners:
            listener(Change(Op.PUT, key))


class Silent:
    """A store that tells nothing but writes."""


def found(mesh: str, name: str, seconds: float) -> Standing:
    return FOUND


def unknown(mesh: str, name: str, seconds: float) -> Standing:
    raise StoreUnavailable("it is away")


@contextmanager
def answering(store: Telling, own_id: str, stand: others.Stand = found) -> Iterator[Others]:
    """A control plane that hears hints and answers."""
    made = Others(own_id, lambda: ("a", "b"), store, stand)
    store.listeners.append(made.changed)
    stop = Stop()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()


def test_each_answers_for_its_own_proxies() -> None:
    with answering(store := Telling(), "a") as first, answering(store, "b"):
        assert first.ask("default", "web-1", 60) == {"b": FOUND}
    assert [key.type for key in store.told] == [QUESTION, ANSWER]


@pytest.mark.parametrize("words", ["", "1", "1 2 x", "1 2 0 4"])
def test_who_answers_in_other_words_counts_as_silent(words: str) -> None:
    """As a control plane of another version may."""
    store = Telling()
    asking = Others("a", lambda: ("a", "b"), store, found)

    def answer(change: Change) -> None:
        if change.key and change.key.type == QUESTION:
            id = change.key.name.partition(" ")[0]
            asking.changed(Change(Op.PUT, ResourceKey(ANSWER, "default", f"{id} b {words}")))

    store.listeners.append(answer)
    assert asking.ask("default", "web-1", 0.05) == {"b": None}


def test_who_cannot_tell_says_nothing_and_answers_the_next_question() -> None:
    fails = [True]

    def stand(mesh: str, name: str, seconds: float) -> Standing:
        return unknown(mesh, name, seconds) if fails else FOUND

    with answering(store := Telling(), "a") as first, answering(store, "b", stand):
        assert first.ask("default", "web-1", 0.05) == {"b": None}
        fails.clear()
        eventually(lambda: first.ask("default", "web-1", 60) == {"b": FOUND})


def test_one_alone_asks_nobody() -> None:
    store = Telling()
    assert Others("a", lambda: ("a",), store, found).ask("default", "web-1", 60) == {}
    assert store.told == []


def test_where_a_store_tells_no_hints_others_get_the_time_to_hear_of_the_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    silent: Any = Silent()
    assert Others("a", lambda: ("a", "b"), silent, found).ask("default", "web-1", 60) == {}
    assert slept == [others.HEARD_SECONDS]


def test_questions_that_nobody_takes_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "MOST_QUESTIONS", 2)
    store = Telling()
    asked = Others("b", lambda: ("a", "b"), store, found)
    for number in range(5):
        asked.changed(Change(Op.PUT, ResourceKey(QUESTION, "default", f"{number} web-1")))
    stop = Stop()
    stop.set()
    asked.run(stop)  # it ends, although its queue is full
    assert store.told == []
