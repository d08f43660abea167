"""Who leads among several control planes: one at a time, and nobody's part runs on after its lease."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.cluster.kinds import LEASE
from kuma_core.builtin.cluster.leases import Lease
from kuma_core.config import Config
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Store
from kuma_core.runtime import leadership
from kuma_core.runtime.leadership import Leader, Leadership
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
    found = Leadership(Leader(), Lease(store, LEASE, "leader", holder, LENGTH), parts, failures.append)
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


def test_a_part_that_does_not_stop_ends_the_control_plane(store: Store) -> None:
    ill, release = Ill(store), threading.Event()
    part = Part("stubborn", release)
    with candidate(ill, "one", part) as (_, failures):
        eventually(lambda: part.running)

        def away() -> None:
            raise StoreUnavailable("the disk is on fire")

        ill.illness = away
        eventually(lambda: failures)
        assert "stubborn: still at work although another control plane may lead" in str(failures[0])
        release.set()


def test_a_part_that_fails_ends_the_control_plane_by_name(store: Store) -> None:
    class Bad(Part):
        def run(self, stop: Stop) -> None:
            raise ValueError("no")

    with candidate(store, "one", Bad("bad")) as (_, failures):
        eventually(lambda: failures)
        assert str(failures[0]) == 'component "bad" failed: ValueError: no'
