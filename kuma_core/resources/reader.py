"""From records to resources, with a memory of what was read last: specs are frozen, so that they can be shared.

The memory is bounded in bytes for each kind, and holds only records that are there: a new document takes the place
of the one before, and a deletion frees its place.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from kuma_core.errors import UnreadableResource
from kuma_core.model import Resource, ResourceKey, ResourceType
from kuma_core.plugin.boundary import PluginFailed
from kuma_core.resources import codec
from kuma_core.resources.contract import Record
from kuma_core.resources.kinds_code import Through, directly
from kuma_core.specs.base import Spec
from kuma_core.specs.comparison import first_difference

MOST_BYTES = 64 * 2**20
"""How much we remember of one kind: about 8 000 dataplanes."""


class Reader:
    """Reads records of every kind. Safe for use from several threads at once."""

    def __init__(self, most_bytes: int = MOST_BYTES, through: Through = directly) -> None:
        """``through`` calls the code of a kind."""
        self._through = through
        self._shelves: dict[str, _Shelf] = defaultdict(lambda: _Shelf(most_bytes))

    def read(self, kind: ResourceType, record: Record) -> Resource:
        """The resource of a stored record; raises ``UnreadableResource`` as ``codec.decode`` does."""
        shelf = self._shelves[kind.name]
        spec = shelf.find(record.key, record.document)
        if spec is None:
            spec = self._decode(kind, record).spec
            shelf.keep(record.key, record.document, spec)
        return Resource(record.key, spec, record.version)

    def read_back(self, kind: ResourceType, resource: Resource, document: str) -> Resource:
        """What the document, once it is stored, will be read as.

        Raises ``UnreadableResource`` unless that is the very same resource.
        """
        try:
            found = self._decode(kind, Record(resource.key, document, ""))
        except UnreadableResource as error:
            raise _not_kept(kind, resource, str(error.__cause__)) from error
        if found.spec != resource.spec and (path := first_difference(resource.spec, found.spec)):
            raise _not_kept(kind, resource, f"{path} would come back with another value")
        return found

    def _decode(self, kind: ResourceType, record: Record) -> Resource:
        try:
            return self._through(kind.name, "reading", lambda: codec.decode(kind, record))
        except PluginFailed as error:
            raise UnreadableResource(
                f"the stored resource {record.key} cannot be read: {error}", record.key
            ) from error

    def remember(self, resource: Resource, document: str) -> None:
        """Remember what a document that was just stored reads as."""
        self._shelves[resource.key.type].keep(resource.key, document, resource.spec)

    def forget(self, key: ResourceKey) -> None:
        """Forget a record that somebody deleted."""
        self._shelves[key.type].drop([key])

    def forget_mesh(self, mesh: str) -> None:
        """Forget a mesh that somebody deleted, and all that was in it."""
        for shelf in list(self._shelves.values()):
            shelf.drop([key for key in shelf.held() if key.mesh == mesh])

    def forget_others(self, type: str, records: Collection[Record]) -> None:
        """Forget what is not among ``records``, which are all of the type."""
        self._shelves[type].keep_only(records)


@dataclass(frozen=True, slots=True)
class _Known:
    document: str
    spec: Spec
    size: int


class _Shelf:
    """What is remembered of the records of one kind, by key. Full, it takes nothing new until something leaves: to make
    room for what is read next would help nobody where everything is read again and again."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._known: dict[ResourceKey, _Known] = {}
        self._bytes = 0

    def find(self, key: ResourceKey, document: str) -> Spec | None:
        known = self._known.get(key)
        return known.spec if known and known.document == document else None

    def keep(self, key: ResourceKey, document: str, spec: Spec) -> None:
        new = _Known(document, spec, weight(document))
        with self._lock:
            self._drop(key)
            if self._bytes + new.size <= self._most_bytes:
                self._known[key] = new
                self._bytes += new.size

    def drop(self, keys: Collection[ResourceKey]) -> None:
        with self._lock:
            for key in keys:
                self._drop(key)

    def keep_only(self, records: Collection[Record]) -> None:
        if len(self._known) > len(records):
            there = {record.key for record in records}
            self.drop([key for key in self.held() if key not in there])

    def held(self) -> list[ResourceKey]:
        return list(self._known)

    def _drop(self, key: ResourceKey) -> None:
        known = self._known.pop(key, None)
        self._bytes -= known.size if known else 0


def weight(document: str) -> int:
    """About how many bytes a document takes together with its spec, rather more than fewer.

    Most of it are the models, one for each object; then come the members and elements.
    """
    values = document.count(":") + document.count(",")
    return 600 * document.count("{") + 60 * values + 2 * sys.getsizeof(document)


def _not_kept(kind: ResourceType, resource: Resource, what: str) -> UnreadableResource:
    return UnreadableResource(
        f"the resource {resource.key} was not stored, as it could not be read again: {what}. This is a defect of the "
        f"kind {kind.name}: tell those who made its plugin; kuma_core.testing.kinds.KindSuite finds it"
    )
