"""Who leads among several control planes: one at a time, and nobody's part runs on after its lease."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.cluster.kinds import LEASE
from kuma_core.builtin.cluster.leases import Lease
from kuma_core.config import Config
from kuma_core.errors import KumaError, LeaseLost, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.resources.boundary import guarded
from kuma_core.resources.contract import Store
from kuma_core.runtime import leadership
from kuma_core.runtime.leadership import Leader, Leadership
from kuma_core.testing.stores import key
from kuma_core.testing.waiting import eventually

LENGTH = 1.2


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proportions, within a second."""
    monkeypatch.setattr(leadership, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(leadership, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(leadership, "MARGIN_SECONDS", 0.5)


@pytest.fixture
def store() -> Iterator[Store]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as opened:
        yield opened


class Part:
    """Runs until it is stopped, or longer."""

    leader_only = True

    def __init__(self, name: str = "part", release: threading.Event | None = None) -> None:
        self.name = name
        self.runs = 0
        self.running = False
        self._release = release

    def run(self, stop: Stop) -> None:
        self.runs += 1
        self.running = True
        stop.wait()
        if self._release:
            self._release.wait(10)
        self.running = False


class Ill:
    """A store that does what a test says before each verb."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.illness: Callable[[], None] = lambda: None

    def __getattr__(self, verb: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.illness()
            return getattr(self._store, verb)(*arguments)

        return call


@contextmanager
def candidate(store: Any, holder: str, *parts: Part) -> Iterator[tuple[Leadership, list[KumaError]]]:
    """A control plane's leadership that runs; its failures are listed."""
    failures: list[KumaError] = []
    lease = Lease(guarded(store, "acme", "ill"), LEASE, "leader", holder, LENGTH)
    found = Leadership(Leader(), lease, parts, failures.append)
    stop = Stop()
    thread = threading.Thread(target=found.run, args=(stop,))
    thread.start()
    try:
        yield found, failures
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


def test_one_of_two_leads_and_the_other_takes_over_at_once(store: Store) -> None:
    one, two = Part(), Part()
    with ExitStack() as second:
        with candidate(store, "one", one):
            eventually(lambda: one.running)
            second.enter_context(candidate(store, "two", two))
            threading.Event().wait(LENGTH)  # longer than a lease lasts without being kept
            assert (one.runs, two.runs) == (1, 0)
        assert not one.running
        eventually(lambda: two.running, 1)


def test_a_store_that_is_away_ends_it_before_the_lease_does(store: Store) -> None:
    ill, part = Ill(store), Part()
    with candidate(ill, "one", part) as (found, failures):
        eventually(lambda: part.running)

        def away() -> None:
            raise StoreUnavailable("the disk is on fire")

        ill.illness = away
        eventually(lambda: not part.running)
        assert found._lease.left() > 0
        ill.illness = lambda: None
        eventually(lambda: part.running, what="the part, started again")
        assert part.runs == 2
        assert failures == []


def test_a_store_that_does_not_answer_ends_it_too(store: Store) -> None:
    ill, part, answers = Ill(store), Part(), threading.Event()
    with candidate(ill, "one", part) as (found, _):
        eventually(lambda: part.running)
        ill.illness = lambda: answers.wait(10) and None
        eventually(lambda: not part.running)
        assert found._lease.left() > 0
        answers.set()


def test_a_store_that_breaks_in_its_own_way_is_survived(store: Store) -> None:
    ill, part = Ill(store), Part()
    with candidate(ill, "one", part):
        eventually(lambda: part.running)

        def broken() -> None:
            raise ZeroDivisionError

        ill.illness = broken
        eventually(lambda: not part.running)
        ill.illness = lambda: None
        eventually(lambda: part.running)


def test_a_part_that_does_not_stop_is_left_alone_and_writes_nothing_more(store: Store) -> None:
    """As one does that is inside the store while it hangs; it is started again when it has come out."""
    ill, release, refused = Ill(store), threading.Event(), threading.Event()
    shared = guarded(store, "acme", "well")

    class Stubborn(Part):
        def run(self, stop: Stop) -> None:
            super().run(stop)
            try:
                shared.create(key("late"), "{}")
            except LeaseLost:
                refused.set()

    part, other = Stubborn("stubborn", release), Part("other")
    with candidate(ill, "one", part, other) as (found, failures):
        eventually(lambda: part.running and other.running)

        def away() -> None:
            raise StoreUnavailable("the disk is on fire")

        ill.illness = away
        eventually(lambda: not found.leads and not other.running)
        ill.illness = lambda: None
        eventually(
            lambda: found.leads and other.running, what="a leader again, with the part that had stopped"
        )
        assert (part.runs, other.runs) == (1, 2)
        release.set()
        eventually(lambda: part.runs == 2, what="the part that has come out, started again")
        assert refused.is_set()
        assert failures == []
    assert store.list("Thing") == []


def test_what_a_part_writes_carries_the_term(store: Store) -> None:
    shared = guarded(store, "acme", "well")

    class Writing(Part):
        def run(self, stop: Stop) -> None:
            shared.create(key(self.name), '{"n":1}')
            super().run(stop)

    first, second = Writing("first"), Writing("second")
    with candidate(store, "one", first):
        eventually(lambda: first.running)
    with candidate(store, "two", second):
        eventually(lambda: second.running)
    documents = [record.document for record in store.list("Thing")]
    assert documents == ['{"n":1,"leaderTerm":1}', '{"n":1,"leaderTerm":2}']


def test_what_another_wrote_for_a_later_term_has_a_leader_take_a_term_above_it(store: Store) -> None:
    """The record of the lease was restored from a backup, or lost, and what leaders wrote was not."""
    store.create(key("theirs"), '{"leaderTerm":7}')
    shared = guarded(store, "acme", "well")

    class Reading(Part):
        def run(self, stop: Stop) -> None:
            with suppress(LeaseLost):
                shared.get(key("theirs"))
                shared.create(key("ours"), "{}")
            super().run(stop)

    with candidate(store, "one", Reading()):
        eventually(lambda: store.list("Thing")[0].key == key("ours"))
    assert store.list("Thing")[0].document == '{"leaderTerm":8}'


def test_a_part_that_cannot_be_started_again_ends_the_control_plane_by_name(store: Store) -> None:
    class Bad(Part):
        restartable = False

        def run(self, stop: Stop) -> None:
            raise ValueError("no")

    with candidate(store, "one", Bad("bad")) as (_, failures):
        eventually(lambda: failures)
        assert str(failures[0]) == 'component "bad" ended: ValueError: no'
