"""A list whose resources are read one by one, as they are taken: a long one is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

from kuma_core.model import Resource
from kuma_core.resources.contract import Record

Read = Callable[[Record], Resource]


class ListedRecords(Sequence[Resource]):
    """The resources of some records, in their order. Taking one raises ``UnreadableResource`` if it cannot be read."""

    def __init__(self, records: Sequence[Record], read: Read) -> None:
        self._records, self._read = records, read

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Resource]:
        return map(self._read, self._records)

    @overload
    def __getitem__(self, place: int) -> Resource: ...

    @overload
    def __getitem__(self, place: slice) -> ListedRecords: ...

    def __getitem__(self, place: int | slice) -> Resource | ListedRecords:
        if isinstance(place, slice):
            return ListedRecords(self._records[place], self._read)
        return self._read(self._records[place])

    def named(self, name: str) -> Resource | None:
        """The first of that name; ``None`` if there is none."""
        record = self._by_name.get(name)
        return None if record is None else self._read(record)

    @cached_property
    def _by_name(self) -> dict[str, Record]:
        return {record.key.name: record for record in reversed(self._records)}

    def only(self, wanted: Callable[[Resource], bool]) -> ListedRecords:
        """Those that are wanted."""
        return ListedRecords([record for record in self._records if wanted(self._read(record))], self._read)

    def only_named(self, wanted: Callable[[str], bool]) -> ListedRecords:
        """Those whose names are wanted; none is read for it."""
        return ListedRecords([record for record in self._records if wanted(record.key.name)], self._read)

    def ordered(self, orders: Sequence[tuple[Callable[[Resource], Any], bool]]) -> ListedRecords:
        """The same by other orders, each with whether it goes backwards, the first one counts most.

        Equal ones stay in the order that they have. Each is read once.
        """
        placed = [(record, self._read(record)) for record in self._records]
        for key, backwards in reversed(orders):
            placed.sort(key=lambda item, key=key: key(item[1]), reverse=backwards)  # type: ignore[misc]
        return ListedRecords([record for record, _ in placed], self._read)
