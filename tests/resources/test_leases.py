"""Leases, with clocks of our own: one holder at a time, also where one sleeps and where the store is away."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

import kuma_store_memory
from kuma_core.builtin.cluster.kinds import LEASE
from kuma_core.builtin.cluster.leases import Lease, Stillness
from kuma_core.config import Config
from kuma_core.resources.contract import Store

LENGTH = 15.0


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def lease(store: Store, holder: str, clock: Clock) -> Lease:
    return Lease(store, LEASE, "leader", holder, LENGTH, clock)


def test_the_first_one_holds_it_and_keeps_it(store: Store) -> None:
    clock = Clock()
    one, two = lease(store, "one", clock), lease(store, "two", clock)
    assert one.hold()
    assert one.left() == LENGTH
    for _ in range(10):
        clock.now += LENGTH / 3
        assert one.hold()
        assert not two.hold()
        assert two.left() < 0


def test_it_is_taken_over_when_it_stood_still_for_its_length(store: Store) -> None:
    clock = Clock()
    one, two = lease(store, "one", clock), lease(store, "two", clock)
    assert one.hold()
    clock.now += LENGTH * 5
    assert not two.hold(), "what was seen once was not yet seen to stand still"
    clock.now += LENGTH - 0.1
    assert not two.hold()
    clock.now += 0.1
    assert two.hold()
    assert two.inherited
    assert one.left() < 0
    assert not one.hold()


def test_it_is_given_back_at_once(store: Store) -> None:
    clock = Clock()
    one, two = lease(store, "one", clock), lease(store, "two", clock)
    assert one.hold()
    assert not two.hold()
    one.give_back()
    assert one.left() < 0
    assert two.hold()


def test_what_was_lost_is_not_given_back(store: Store) -> None:
    clock = Clock()
    one, two = lease(store, "one", clock), lease(store, "two", clock)
    assert one.hold()
    assert not two.hold()
    clock.now += LENGTH
    assert two.hold()
    one.give_back()
    one.remove()
    assert two.hold()


def test_one_that_is_removed_is_gone(store: Store) -> None:
    one = lease(store, "one", Clock())
    assert one.hold()
    assert one.exists()
    one.remove()
    assert not one.exists()
    assert not one.hold(create=False)
    assert not one.exists()


def test_a_record_that_nobody_can_read_is_taken_over_in_the_end(store: Store) -> None:
    clock = Clock()
    store.create(LEASE.key("", "leader"), "{")
    one = lease(store, "one", clock)
    assert not one.hold()
    clock.now += LENGTH
    assert one.hold()


def test_stillness() -> None:
    clock = Clock()
    still = Stillness(clock)
    assert still.seconds("a") == 0
    clock.now += 3
    assert still.seconds("a") == 3
    assert still.seconds("b") == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, LENGTH)), max_size=60))
def test_never_two_at_once(steps: list[tuple[str, float]]) -> None:
    """Whoever acts whenever: at no moment do two believe that they hold it."""
    clock = Clock()
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as store:
        leases = {name: lease(store, name, clock) for name in "abc"}
        for name, seconds in steps:
            clock.now += seconds
            leases[name].hold()
            assert sum(one.left() > 0 for one in leases.values()) <= 1
