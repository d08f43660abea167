"""What a store promises whose counter says whether anything was written, where it has one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kuma_core.resources.contract import CountedStore, Store
from kuma_core.testing.stores.parts import StoreParts
from kuma_core.testing.stores.tools import watching
from kuma_core.testing.waiting import eventually

Words = tuple[str, str]
"""The counter's word through either connection."""


class Counting(StoreParts):
    """The counter. Its word moves when watchers can hear of a write: at once, or a moment later."""

    @pytest.fixture
    def counted(self, store: Store, other: Store) -> Callable[[], Words]:
        """The words, once there are any: a write may be under way for a moment after its end."""
        if not isinstance(store, CountedStore) or not isinstance(other, CountedStore):
            pytest.skip("does not apply: this store has no counter")
        counters = store.counter, other.counter
        return lambda: (eventually(counters[0]), eventually(counters[1]))

    def test_the_counter_moves_with_every_write(
        self, store: Store, other: Store, counted: Callable[[], Words]
    ) -> None:
        words = counted()
        for writer in (store, other):
            record = writer.create(self.key("a"), "{}")
            words = _moved(counted, words)
            writer.update(self.key("a"), '{"n":1}', record.version)
            words = _moved(counted, words)
            writer.delete(self.key("a"))
            words = _moved(counted, words)

    def test_the_counter_rests_while_nothing_is_written(
        self, store: Store, other: Store, counted: Callable[[], Words]
    ) -> None:
        before = counted()
        store.create(self.key("a"), "{}")
        words = _moved(counted, before)
        for reader in (store, other):
            reader.get(self.key("a"))
            reader.list(self.THING)
            with watching(reader):
                assert counted() == words
        assert counted() == words


def _moved(counted: Callable[[], Words], before: Words) -> Words:
    """The words after a write, which both are others than before."""

    def other_words() -> Words | None:
        now = counted()
        return now if all(word != last for word, last in zip(now, before, strict=True)) else None

    words = eventually(other_words, what="another word of the counter through both connections")
    assert words is not None
    return words
