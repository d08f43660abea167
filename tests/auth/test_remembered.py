"""What is read once counts until a hint, through outages, and never a moment longer than somebody reads it anew."""

from __future__ import annotations

import threading

import pytest

from kuma_core.builtin.tokens.remembered import PAUSE_SECONDS, Remembered
from kuma_core.errors import KumaError, StoreUnavailable, UnreadableResource


class Source:
    """Something to read, which may fail or take its time."""

    def __init__(self) -> None:
        self.value, self.reads, self.now = 1, 0, 1000.0
        self.error: KumaError | None = None
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def read(self, before: int | None) -> int:
        self.reads += 1
        found = self.value
        self.entered.set()
        assert self.go_on.wait(10)
        if self.error:
            raise self.error
        return found


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def memory(source: Source) -> Remembered[int]:
    return Remembered(source.read, lambda: source.now)


def test_it_is_read_once_and_after_each_hint_again(source: Source, memory: Remembered[int]) -> None:
    assert (memory.get(), memory.get(), source.reads) == (1, 1, 1)
    source.value = 2
    assert memory.get() == 1
    memory.forget()
    assert (memory.get(), memory.get(), source.reads) == (2, 2, 2)


@pytest.mark.parametrize("error", [StoreUnavailable("away"), UnreadableResource("garbage")])
def test_what_was_good_before_is_good_while_it_cannot_be_read(
    source: Source, memory: Remembered[int], error: KumaError
) -> None:
    memory.get()
    source.value, source.error = 2, error
    memory.forget()
    assert [memory.get() for _ in range(5)] == [1] * 5
    assert source.reads == 2, "a read that failed is not repeated at once"
    assert not memory.catch_up()
    source.error = None
    source.now += PAUSE_SECONDS
    assert (memory.get(), memory.catch_up()) == (2, True)


def test_a_hint_ends_the_pause_after_a_failure(source: Source, memory: Remembered[int]) -> None:
    memory.get()
    source.error = StoreUnavailable("away")
    memory.forget()
    memory.get()
    source.value, source.error = 2, None
    memory.forget()
    assert memory.get() == 2


def test_without_anything_known_the_error_is_told(source: Source, memory: Remembered[int]) -> None:
    source.error = StoreUnavailable("away")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="away"):
            memory.get()
    assert not memory.catch_up()


def test_who_comes_while_it_is_read_waits_for_what_is_read(source: Source, memory: Remembered[int]) -> None:
    """Else somebody would go by what was revoked a moment ago, and nobody would look again."""
    memory.get()
    source.value = 2
    source.entered.clear()
    source.go_on.clear()
    memory.forget()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(memory.get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert source.entered.wait(10)
    assert found == []
    source.go_on.set()
    for thread in threads:
        thread.join(10)
    assert (found, source.reads) == ([2] * 4, 2)


def test_a_hint_that_comes_while_it_is_read_is_not_lost(source: Source, memory: Remembered[int]) -> None:
    source.go_on.clear()
    thread = threading.Thread(target=memory.get)
    thread.start()
    assert source.entered.wait(10)
    source.value = 2
    memory.forget()
    source.go_on.set()
    thread.join(10)
    assert memory.get() == 2


def test_it_is_read_without_a_hint_once_a_second_at_most(source: Source, memory: Remembered[int]) -> None:
    memory.get()
    source.value = 2
    assert [memory.fresh() for _ in range(50)] == [2] * 50
    assert source.reads == 2
    source.value = 3
    source.now += PAUSE_SECONDS
    assert (memory.fresh(), source.reads) == (3, 3)


def test_what_has_to_be_fresh_is_not_remembered(source: Source, memory: Remembered[int]) -> None:
    memory.get()
    source.error = StoreUnavailable("away")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            memory.fresh()
    assert (memory.get(), source.reads) == (1, 2)


def test_listeners_hear_every_hint(memory: Remembered[int]) -> None:
    heard: list[int] = []
    memory.listen(lambda: heard.append(1))
    memory.forget()
    memory.forget()
    assert heard == [1, 1]
