"""What is known of one kind of objects, as far as a controller needs it; who is to hear of a change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from kuma_core.sdk import StoreUnavailable
from kuma_runtime_k8s.pods import Place, place_of

T = TypeVar("T")


class Known(Generic[T]):
    """Receives what is told of a collection, and keeps what ``keep`` makes of each object.

    ``changed`` gets a place with what was known of it and what is, whenever both differ. Safe for use from several
    threads.
    """

    def __init__(
        self,
        keep: Callable[[Mapping[str, Any]], T],
        changed: Callable[[Place, T | None, T | None], None],
    ) -> None:
        self._keep, self._changed = keep, changed
        self._guard = threading.Lock()
        self._items: dict[Place, T] = {}
        self.settled_once = threading.Event()

    def get(self, place: Place) -> T | None:
        """What is known of an object."""
        return self._items.get(place)

    def items(self) -> list[tuple[Place, T]]:
        """Everything that is known."""
        with self._guard:
            return list(self._items.items())

    def replaced(self, items: Mapping[str, Any]) -> None:
        """All that is there now."""
        now = {place_of(item): self._keep(item) for item in items.values()}
        with self._guard:
            before, self._items = self._items, dict(now)
        for place in before.keys() | now.keys():
            self._tell(place, before.get(place), now.get(place))

    def put(self, item: Mapping[str, Any]) -> None:
        """An object came or changed; a write of ours tells so, too."""
        place, kept = place_of(item), self._keep(item)
        with self._guard:
            before = self._items.get(place)
            self._items[place] = kept
        self._tell(place, before, kept)

    def deleted(self, item: Mapping[str, Any]) -> None:
        """An object is gone."""
        place = place_of(item)
        with self._guard:
            before = self._items.pop(place, None)
        self._tell(place, before, None)

    def settled(self) -> None:
        """All that was there is told."""
        self.settled_once.set()

    def troubled(self, problem: StoreUnavailable) -> None:
        """What is known goes on to count."""

    def _tell(self, place: Place, before: T | None, now: T | None) -> None:
        if before != now:
            self._changed(place, before, now)
