"""The suite for stores passes whoever keeps the contract, and nobody else: watchers that fall behind, and documents."""

from __future__ import annotations

import json
from collections import deque

import pytest

from kuma_core.sdk import Change, Record, ResourceKey
from kuma_core.testing.stores import RESYNC, StoreSuite
from kuma_store_memory import store as memory

BACKLOG = 50


class _OnlyResyncs(memory._Watcher):
    """Once it fell behind it tells of every later write by a RESYNC, whatever was written."""

    behind = False

    def add(self, change: Change) -> None:
        self.behind |= len(self._waiting) >= self._backlog
        if not self.behind:
            super().add(change)
            return
        with self._changed:
            self._waiting = deque([RESYNC])
            self._changed.notify()


class _Silent(memory._Watcher):
    """Once it fell behind it tells of nothing more."""

    behind = False

    def add(self, change: Change) -> None:
        self.behind |= len(self._waiting) >= self._backlog
        if not self.behind:
            super().add(change)


@pytest.fixture
def suite() -> StoreSuite:
    found = StoreSuite()
    found.BACKLOG = BACKLOG
    return found


def slow(suite: StoreSuite) -> None:
    suite.test_a_slow_watcher_stops_no_writer_and_gets_a_resync(memory.MemoryStore(BACKLOG))


def test_a_resync_after_the_last_write_tells_of_it(
    suite: StoreSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_Watcher", _OnlyResyncs)
    slow(suite)


def test_what_a_slow_watcher_missed_may_not_be_kept_from_it(
    suite: StoreSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_Watcher", _Silent)
    suite.PATIENCE = 0.5
    with pytest.raises(AssertionError, match="nothing was published that has the last write read"):
        slow(suite)


class _Tidy(memory.MemoryStore):
    """Keeps the content of a document, and writes it in its own way."""

    def _write(self, key: ResourceKey, document: str) -> Record:
        return super()._write(key, self.tidied(document))

    def tidied(self, document: str) -> str:
        return json.dumps(json.loads(document), sort_keys=True, indent=1)


class _Rounding(_Tidy):
    """Has one kind of number, as a backend may that is written in another language."""

    def tidied(self, document: str) -> str:
        return json.dumps(json.loads(document, parse_int=lambda text: int(float(text))))


class _Flags(_Tidy):
    """Takes a flag for a number."""

    def tidied(self, document: str) -> str:
        return document.replace("true", "1")


def test_a_store_may_write_documents_in_its_own_way(suite: StoreSuite) -> None:
    suite.test_a_document_comes_back_with_the_same_content(_Tidy())


@pytest.mark.parametrize("lossy", [_Rounding, _Flags])
def test_a_store_may_not_change_what_a_document_says(suite: StoreSuite, lossy: type[_Tidy]) -> None:
    with pytest.raises(AssertionError):
        suite.test_a_document_comes_back_with_the_same_content(lossy())
