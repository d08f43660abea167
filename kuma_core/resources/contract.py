"""The Store, which a store plugin implements, and the resources and secrets that everybody else works with.

A store has six verbs over documents that mean nothing to it. It never validates and never cascades; all that lives
above it, once, so that a new kind of resource never touches a backend. It refuses a name or a number that its backend
cannot hold with ``InvalidResource``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from kuma_core.config import Config
from kuma_core.errors import UnreadableResource, Violation
from kuma_core.kinds import Kinds
from kuma_core.lifecycle import Stop
from kuma_core.model import Resource, ResourceKey


@dataclass(frozen=True, slots=True)
class Record:
    """A stored document, and an opaque version that never repeats for its key.

    The document is JSON: an object in which no key is there twice; of a secret, a text in base64. A store gives back an
    equal value: spaces and the order of keys are its own.
    """

    key: ResourceKey
    document: str
    version: str


class Op(Enum):
    """What happened: a write, a deletion, or anything (the watch may have missed some)."""

    PUT = "put"
    DELETE = "delete"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Change:
    """A hint that something changed; it carries no payload: a listener that cares reads the store.

    ``version`` is that of the record which a write made, where the store says so. A RESYNC that ``is_precaution`` comes
    from the kernel itself, from time to time: nobody knows of anything missed. ``at`` is when the write began, or was
    heard of, by the monotonic clock; the kernel notes it, a store does not.
    """

    op: Op
    key: ResourceKey | None = None
    version: str = field(default="", compare=False)
    is_precaution: bool = field(default=False, compare=False)
    at: float = field(default=0.0, compare=False)


Publish = Callable[[Change], None]


class Store(Protocol):
    """Keeps records. Safe for use from several threads at once.

    Every verb raises ``kuma_core.sdk.StoreUnavailable`` while it cannot reach the backend.
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
        """Replace a record that still has ``version``; raises ``Conflict`` if it has another or is gone.

        Where the document is an equal one, a store may do nothing: the version stays, and nobody is told.
        """
        ...

    def delete(self, key: ResourceKey) -> None:
        """Remove a record; raises ``NotFound``."""
        ...

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish a ``Change`` for every write, own and foreign alike, until ``stop`` is set.

        The store publishes one ``RESYNC`` when it has attached the watch, and again after every lost connection:
        before that, the kernel assumes nothing. It gives one, too, to a watcher that falls too far behind,
        after the writes, instead of the changes that it missed. It publishes changes after their commit and outside
        of any lock that another verb needs. Raises if it loses the backend; the kernel then calls it again.
        """
        ...


@runtime_checkable
class QuietStore(Protocol):
    """What a store may offer besides, where telling of a write costs something."""

    def leave_untold(self, types: Collection[str]) -> None:
        """The kernel calls this once after opening: nobody watches these types."""
        ...


@runtime_checkable
class ExactStore(Protocol):
    """What a store may offer besides: a deletion that never hits what somebody else wrote meanwhile.

    The kernel looks before it deletes with other stores, which leaves a moment in between.
    """

    def delete_exactly(self, key: ResourceKey, version: str) -> None:
        """Remove a record that still has ``version``; raises ``Conflict`` if it has another, ``NotFound``."""
        ...


@runtime_checkable
class LearningStore(Protocol):
    """What a store may offer besides, whose backend has a place of its own for each kind."""

    def learn_kinds(self, kinds: Kinds) -> None:
        """The kernel calls this once after opening, before everything else: the kinds that there are.

        Raises a ``KumaError`` that names a kind for which the backend can have no place.
        """
        ...


@runtime_checkable
class TellingStore(Protocol):
    """What a store may offer beside ``leave_untold``, so that a few of those writes are told after all."""

    def tell(self, key: ResourceKey) -> None:
        """Publish a ``PUT`` of that key to every watcher, after all writes that ended before; store nothing.

        Such a hint counts for nothing in ``counter``. Raises ``StoreUnavailable``.
        """
        ...


@runtime_checkable
class CountedStore(Protocol):
    """What a store may offer besides, so that nobody has to read everything to know that nothing changed."""

    def counter(self) -> str:
        """A word that changes with every write that watchers hear of, foreign ones included, when they hear of it.

        Whoever reads records after a word sees all writes that the word counts; ``""`` where that cannot be
        promised at the moment. Equal words so mean that nobody missed anything. It may also change without a
        write. Raises ``StoreUnavailable``.
        """
        ...


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How far the schema of a store's backend is: revisions, oldest first.

    ``current`` is ``""`` where nobody migrated yet; ``pending`` lies between ``current`` and ``wanted``.
    """

    current: str
    wanted: str
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Migrations:
    """Brings the schema of a store's backend up to date; for stores whose backend has a schema.

    ``up`` runs what is pending and returns those revisions, ``status`` changes nothing; both raise a
    ``KumaError`` that says why it could not be. ``sql`` is the text of the whole schema for a client of the
    backend; running it again does no harm.
    """

    up: Callable[[Config], Sequence[str]]
    status: Callable[[Config], SchemaStatus]
    sql: Callable[[], str]


@dataclass(frozen=True, slots=True)
class StoreFactory:
    """A store that an operator can choose: ``name`` is the value of ``store.type``.

    ``open`` gets the configuration and returns a context manager: entered once at start, left at the end.
    """

    name: str
    open: Callable[[Config], AbstractContextManager[Store]]
    migrations: Migrations | None = None


class Result(Enum):
    """What a write did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: what it did, the resource as stored, and the warnings for its writer."""

    result: Result
    resource: Resource
    warnings: tuple[Violation, ...] = ()


class Resources(Protocol):
    """The stored resources, with every rule that holds for all of them. Safe for use from several threads."""

    @property
    def kinds(self) -> Kinds:
        """The kinds that there are."""
        ...

    def get(self, key: ResourceKey) -> Resource:
        """The stored resource; raises ``NotFound`` or ``StoreUnavailable``."""
        ...

    def find(self, key: ResourceKey) -> Resource | None:
        """As ``get``, with ``None`` for a resource that does not exist."""
        ...

    def list(
        self,
        type: str,
        mesh: str | None = None,
        unreadable: Callable[[UnreadableResource], None] | None = None,
    ) -> list[Resource]:
        """All resources of a kind, in one mesh if it is named, sorted by mesh and name.

        A record that cannot be read raises ``UnreadableResource``, or is left out and told to ``unreadable``.
        """
        ...

    def listed(self, type: str, mesh: str | None = None) -> Listed:
        """As ``list``, for those that may be many: each is read when it is taken."""
        ...

    def put(self, resource: Resource, check: Callable[[Resource], None] | None = None) -> Written:
        """Create the resource or replace its spec as a whole; raises ``InvalidResource`` or ``Conflict``.

        ``check`` gets what would be replaced, and raises if that may not be; it is asked again if others write
        meanwhile.
        """
        ...

    def amend(self, key: ResourceKey, change: Callable[[Any], Any]) -> Written:
        """Replace a spec by what ``change`` makes of the stored one (``None`` if there is none)."""
        ...

    def ensure(self, resource: Resource) -> Resource:
        """Create the resource unless it is there already, and return what is there."""
        ...

    def delete(
        self, key: ResourceKey, check: Callable[[Resource], None] | None = None
    ) -> tuple[Violation, ...]:
        """Delete a resource and what cannot live without it; raises ``NotFound`` or ``InvalidResource``.

        ``check`` gets what would be deleted, as in ``put``.
        """
        ...

    def examine(
        self, resource: Resource, mesh_may_come: bool = False
    ) -> tuple[Resource, tuple[Violation, ...]]:
        """The resource as ``put`` would store it, and the warnings for its writer; stores nothing."""
        ...

    def examine_deletion(self, key: ResourceKey) -> tuple[Violation, ...]:
        """The warnings for its deleter; deletes nothing."""
        ...

    def owned_by_mesh(self, mesh: str) -> Iterator[ResourceKey]:
        """What goes with a mesh that somebody deletes."""
        ...


class Listed(Protocol):
    """Some resources in their order, read one by one as they are taken: raises ``UnreadableResource`` then."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Resource]: ...

    def __getitem__(self, place: slice) -> Listed:
        """A part of them."""
        ...

    def named(self, name: str) -> Resource | None:
        """The first of that name; ``None`` if there is none."""
        ...

    def only(self, wanted: Callable[[Resource], bool]) -> Listed:
        """Those that are wanted."""
        ...

    def only_named(self, wanted: Callable[[str], bool]) -> Listed:
        """Those whose names are wanted; none is read for it."""
        ...

    def ordered(self, orders: Sequence[tuple[Callable[[Resource], Any], bool]]) -> Listed:
        """The same by other orders, each with whether it goes backwards, the first one counts most.

        Equal ones stay in the order that they have.
        """
        ...


class Deletions(Protocol):
    """Deletes a mesh, in many steps: the control plane that begins may die in the middle of them."""

    def run(self, key: ResourceKey) -> None:
        """Delete a mesh and what it owns; raises ``NotFound`` if it is not there, ``Busy`` if others do not end."""
        ...

    def finish(self, mesh: str) -> None:
        """Finish the deletion of a mesh if one was begun; raises ``Busy``."""
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    """A stored secret; ``version`` is the store's word for this state of it."""

    mesh: str
    name: str
    value: bytes = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True)
class OwnSecret:
    """Secrets that belong to the control plane itself: deleting the mesh that they lie in leaves them.

    ``pattern`` is a regular expression that their whole names match. An import of an older backup stores what
    ``unite`` makes of the value that is there and the archived one (``None``: the archived one, if the operator
    allows that). ``read_at_start`` says that a new value is noticed only when the control plane starts again.
    """

    pattern: str
    unite: Callable[[bytes, bytes], bytes] | None = None
    read_at_start: bool = False


class Secrets(Protocol):
    """What the control plane keeps in the store and no API ever shows. Safe for use from several threads."""

    def get(self, mesh: str, name: str) -> Secret:
        """The secret; raises ``NotFound``, ``UnreadableResource`` or ``StoreUnavailable``."""
        ...

    def find(self, mesh: str, name: str) -> Secret | None:
        """As ``get``, with ``None`` for a secret that does not exist."""
        ...

    def names(self, mesh: str) -> list[str]:
        """The names of all secrets of a mesh, sorted."""
        ...

    def all(self, mesh: str | None = None) -> list[Secret]:
        """Every secret, of one mesh if it is named, sorted by mesh and name."""
        ...

    def create(self, mesh: str, name: str, value: bytes) -> Secret:
        """Store a new secret; raises ``AlreadyExists``."""
        ...

    def ensure(self, mesh: str, name: str, make: Callable[[], bytes]) -> Secret:
        """The secret that is there, or else a new one with what ``make`` returns."""
        ...

    def replace(self, secret: Secret, value: bytes) -> Secret:
        """Replace the value of a secret as it was read; raises ``Conflict`` if somebody else did so before."""
        ...

    def delete(self, mesh: str, name: str) -> None:
        """Remove a secret; raises ``NotFound``."""
        ...

    def is_own(self, secret: Secret) -> bool:
        """Whether a secret belongs to the control plane itself, and not to its mesh."""
        ...

    def kind_of(self, mesh: str, name: str) -> OwnSecret | None:
        """What a plugin registered about a secret of the control plane's own; ``None`` for all others."""
        ...
