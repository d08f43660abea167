"""The Store: six verbs over opaque documents. A store plugin implements exactly this.

A store never validates, never cascades and never looks into a document; all that lives in the
ResourceManager, once, so that a new kind of resource never touches a backend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey

if TYPE_CHECKING:
    from kuma_core.config import Config


@dataclass(frozen=True, slots=True)
class Record:
    """A stored document: JSON text, and an opaque version that never repeats for its key."""

    key: ResourceKey
    document: str
    version: str


class Op(Enum):
    """What happened: a record was written, a record was deleted, or anything may have happened."""

    PUT = "put"
    DELETE = "delete"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Change:
    """A hint that something changed; it carries no payload, whoever cares reads the store."""

    op: Op
    key: ResourceKey | None = None


Publish = Callable[[Change], None]


class Store(Protocol):
    """Keeps records. Safe for use from several threads at once.

    Every verb raises ``kuma_core.sdk.StoreUnavailable`` while the backend cannot be reached.
    """

    def get(self, key: ResourceKey) -> Record:
        """The record of that key; raises ``NotFound``."""
        ...

    def list(self, type: str, mesh: str | None = None) -> list[Record]:
        """All records of a type (in one mesh, if named), sorted by mesh and name."""
        ...

    def create(self, key: ResourceKey, document: str) -> Record:
        """Store a new record; raises ``AlreadyExists``."""
        ...

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        """Replace a record that still has ``version``; raises ``Conflict`` if it has another or is gone."""
        ...

    def delete(self, key: ResourceKey) -> None:
        """Remove a record; raises ``NotFound``."""
        ...

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish a ``Change`` for every write, own and foreign alike, until ``stop`` is set.

        One ``RESYNC`` is published once the watch is attached, and again after every lost connection: before
        that, nothing is assumed. A watcher that falls too far behind gets one too, after the writes, instead of
        the changes that it missed. Changes are published after their commit and outside of any lock that
        another verb needs. Raises if the backend is lost; it is then called again.
        """
        ...


@runtime_checkable
class QuietStore(Protocol):
    """What a store may offer besides, where telling of a write costs something."""

    def hush(self, types: Collection[str]) -> None:
        """Called once after opening: nobody needs to be told of writes of these types."""
        ...


@runtime_checkable
class CountedStore(Protocol):
    """What a store may offer besides, so that nobody has to read everything to know that nothing changed."""

    def counter(self) -> str:
        """A word that is another one after every write that watchers are told of, foreign ones included.

        Whoever reads records after a word sees all writes that the word counts; ``""`` where that cannot be
        promised at the moment. Equal words so mean that nobody missed anything. It may also change without a
        write. Raises ``StoreUnavailable``.
        """
        ...


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How far the schema of a store's backend is: revisions, oldest first.

    ``current`` is ``""`` where nothing was migrated yet; ``pending`` lies between ``current`` and ``wanted``.
    """

    current: str
    wanted: str
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Migrations:
    """How the schema of a store's backend is brought up to date; for stores whose backend has a schema.

    ``up`` runs what is pending and returns those revisions, ``status`` changes nothing; both raise a
    ``KumaError`` that says why it could not be. ``sql`` is the text of the whole schema for a client of the
    backend; running it again does no harm.
    """

    up: Callable[[Config], Sequence[str]]
    status: Callable[[Config], SchemaStatus]
    sql: Callable[[], str]


@dataclass(frozen=True, slots=True)
class StoreFactory:
    """A store that can be chosen: ``name`` is the value of ``store.type``.

    ``open`` gets the configuration and returns a context manager: entered once at start, left at the end.
    """

    name: str
    open: Callable[[Config], AbstractContextManager[Store]]
    migrations: Migrations | None = None
