"""Everything that is true of every resource, whatever its kind and whatever the store.

Defaults, rules, the owning mesh, compare-and-set and cascades live here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from typing import Any

from kuma_core.errors import (
    AlreadyExists,
    Conflict,
    InvalidResource,
    NotFound,
    Severity,
    StoreUnavailable,
    UnreadableResource,
    Violation,
)
from kuma_core.kinds import Kinds
from kuma_core.model import Resource, ResourceKey, Scope
from kuma_core.plugin.boundary import Boundary
from kuma_core.resources import codec
from kuma_core.resources.contract import Deletions, Record, Resources, Result, Store, TellingStore, Written
from kuma_core.resources.exactly import delete_exactly
from kuma_core.resources.kinds_code import completed, through, violations
from kuma_core.resources.listed import ListedRecords
from kuma_core.resources.reader import Reader
from kuma_core.specs.mesh import MESH

_ATTEMPTS = 5
"""How often we try a write while others write the same resource."""


Admit = Callable[[Resource | None, Resource | None, Resources], list[Violation]]
"""The question before every write: the resource as it would be (``None``: deleted) and as it is now
(``None``: not there). Errors refuse the write, warnings go to the writer."""

Prepare = Callable[[Resource], None]
"""Makes what a resource needs before we store it. Repeating it does no harm."""


Check = Callable[[Resource], None]
"""Raises if somebody may not write over a resource that is there."""

Keep = Callable[[ResourceKey], bool]
"""Whether a resource outlives its mesh."""


def _admit_all(resource: Resource | None, previous: Resource | None, manager: object) -> list[Violation]:
    return []


class ResourceManager:
    """Reads and writes resources. Safe for use from several threads at once.

    The manager calls ``open_deletions`` with itself at the first write or deletion of a mesh.
    """

    def __init__(
        self,
        store: Store,
        kinds: Kinds,
        open_deletions: Callable[[Resources], Deletions],
        admit: Admit = _admit_all,
        prepare: Prepare = lambda resource: None,
        keep: Keep = lambda key: False,
        boundary: Boundary | None = None,
    ) -> None:
        self._store = store
        self._telling = store if isinstance(store, TellingStore) else None
        self.kinds = kinds
        self._open_deletions = open_deletions
        self._admit = admit
        self._prepare = prepare
        self._keep = keep
        self._through = through(kinds, boundary)
        self._reader = Reader(through=self._through)

    @cached_property
    def _deletions(self) -> Deletions:
        return self._open_deletions(self)

    def get(self, key: ResourceKey) -> Resource:
        """The stored resource; raises ``NotFound`` or ``StoreUnavailable``."""
        return self._reader.read(self.kinds[key.type], self._store.get(key))

    def find(self, key: ResourceKey) -> Resource | None:
        """As ``get``, with ``None`` for a resource that does not exist."""
        try:
            return self.get(key)
        except NotFound:
            return None

    def list(
        self,
        type: str,
        mesh: str | None = None,
        unreadable: Callable[[UnreadableResource], None] | None = None,
    ) -> list[Resource]:
        """All resources of a kind, in one mesh if it is named, sorted by mesh and name.

        A record that cannot be read raises ``UnreadableResource``, or is left out and told to ``unreadable``.
        """
        kind, found, records = self.kinds[type], [], self._store.list(type, mesh)
        if mesh is None:
            self._reader.forget_others(type, records)
        for record in records:
            try:
                found.append(self._reader.read(kind, record))
            except UnreadableResource as error:
                if unreadable is None:
                    raise
                unreadable(error)
        return found

    def listed(self, type: str, mesh: str | None = None) -> ListedRecords:
        """As ``list``, for those that may be many: each is read when it is taken."""
        kind, records = self.kinds[type], self._store.list(type, mesh)
        if mesh is None:
            self._reader.forget_others(type, records)
        return ListedRecords(records, partial(self._reader.read, kind))

    def put(self, resource: Resource, check: Check | None = None) -> Written:
        """Create the resource or replace its spec as a whole.

        ``check`` gets what would be replaced, and raises if that may not be; it is asked again if others wrote it
        meanwhile.
        Raises ``InvalidResource`` with every rule that it breaks, ``Conflict`` if others keep writing it.
        """
        resource = completed(resource, self._through)
        warnings = _accept(violations(resource, self._through))
        self._finish_deletion(resource.key)
        for _ in range(_ATTEMPTS):
            try:
                return self._put_once(resource, warnings, check)
            except (Conflict, AlreadyExists):
                continue
        raise self._contested(resource.key)

    def examine(
        self, resource: Resource, mesh_may_come: bool = False
    ) -> tuple[Resource, tuple[Violation, ...]]:
        """The resource as ``put`` would store it, and the warnings for its writer; stores nothing.

        Raises as ``put`` does for a resource that breaks a rule. With ``mesh_may_come`` its mesh need not be
        there yet.
        """
        resource = completed(resource, self._through)
        warnings = _accept(violations(resource, self._through))
        current = self.find(resource.key)
        warnings += _accept(self._admit(resource, current, self))
        if current is None and not mesh_may_come:
            self._require_mesh(resource)
        self._read_back(resource, codec.encode(resource))
        return resource, warnings

    def amend(self, key: ResourceKey, change: Callable[[Any], Any]) -> Written:
        """Replace a spec by what ``change`` makes of the stored one (``None`` if there is none).

        If somebody else writes in between, ``change`` is called again with what is there then. Raises as
        ``put`` does.
        """
        self._finish_deletion(key)
        for _ in range(_ATTEMPTS):
            current = self.find(key)
            resource = Resource(
                key, change(current.spec if current else None), current.version if current else ""
            )
            warnings = _accept(violations(resource, self._through))
            warnings += self._ask(resource, current)
            try:
                written = self._write(resource, codec.encode(resource))
                self._tell(resource, current)
                return Written(*written, warnings)
            except (Conflict, AlreadyExists):
                continue
        raise self._contested(key)

    def ensure(self, resource: Resource) -> Resource:
        """Create the resource unless it is there already, and return what is there."""
        resource = completed(resource, self._through)
        self._finish_deletion(resource.key)
        for _ in range(_ATTEMPTS):
            found = self.find(resource.key)
            if found:
                return found
            try:
                _accept(violations(resource, self._through))
                self._ask(resource, None)
                return self._write(resource, codec.encode(resource))[1]
            except AlreadyExists:
                continue
        raise self._contested(resource.key)

    def _put_once(self, resource: Resource, warnings: tuple[Violation, ...], check: Check | None) -> Written:
        document = codec.encode(resource)
        try:
            current = self._store.get(resource.key)
        except NotFound:
            warnings += self._ask(resource, None)
            written = self._write(resource, document)
            self._tell(resource, None)
            return Written(*written, warnings)
        before = self._checked(current, check)
        warnings += self._ask(resource, before)
        resource = Resource(resource.key, resource.spec, current.version)
        if current.document == document:
            return Written(Result.UNCHANGED, resource, warnings)
        written = self._write(resource, document)
        self._tell(resource, before)
        return Written(*written, warnings)

    def _tell(self, resource: Resource, before: Resource | None) -> None:
        """Have watchers hear of a write that its kind is silent about as a rule, if it is worth it."""
        worth_telling = self.kinds[resource.key.type].worth_telling
        if self._telling and worth_telling and worth_telling(before and before.spec, resource.spec):
            with suppress(StoreUnavailable):  # the write stands; watchers look again once the store is back
                self._telling.tell(resource.key)

    def _checked(self, record: Record, check: Check | None) -> Resource | None:
        """The stored resource, if it may be written over; where nobody can read it, nobody can say so."""
        if check is None:
            return self._readable(record)
        found = self._reader.read(self.kinds[record.key.type], record)
        check(found)
        return found

    def _readable(self, record: Record) -> Resource | None:
        """The stored resource; one that cannot be read counts as none, so that it can be replaced."""
        try:
            return self._reader.read(self.kinds[record.key.type], record)
        except UnreadableResource:
            return None

    def _ask(self, resource: Resource, previous: Resource | None) -> tuple[Violation, ...]:
        """Have the write admitted and prepared. An equal write too: so what went missing comes back."""
        warnings = _accept(self._admit(resource, previous, self))
        self._prepare(resource)
        return warnings

    def _write(self, resource: Resource, document: str) -> tuple[Result, Resource]:
        """Create the resource if it has no version yet, else replace the one of its version."""
        found = self._read_back(resource, document)
        if resource.version:
            record = self._store.update(resource.key, document, resource.version)
            self._reader.remember(found, document)
            return Result.UPDATED, Resource(resource.key, resource.spec, record.version)
        self._require_mesh(resource)
        record = self._store.create(resource.key, document)
        self._reader.remember(found, document)
        self._withdraw_without_mesh(resource)
        return Result.CREATED, Resource(resource.key, resource.spec, record.version)

    def _read_back(self, resource: Resource, document: str) -> Resource:
        """Refuse what we could not read again: it would break every list of its kind."""
        return self._reader.read_back(self.kinds[resource.key.type], resource, document)

    def _withdraw_without_mesh(self, resource: Resource) -> None:
        """Leave nothing behind: somebody may have deleted the mesh, and swept it, since we looked for it."""
        try:
            self._require_mesh(resource)
        except InvalidResource:
            self._discard(resource.key)
            raise

    def _finish_deletion(self, key: ResourceKey) -> None:
        """Write a mesh only after the deletion of an earlier one of its name has ended: it would sweep the new one."""
        if key.type == MESH:
            self._deletions.finish(key.name)

    def _contested(self, key: ResourceKey) -> Conflict:
        return Conflict(f"the resource {key} is being written by others all the time; try again")

    def _require_mesh(self, resource: Resource) -> None:
        if self.kinds[resource.key.type].scope is Scope.GLOBAL:
            return
        try:
            self._store.get(ResourceKey(MESH, resource.mesh, resource.mesh))
        except NotFound:
            message = f"mesh of name {resource.mesh} is not found"
            raise InvalidResource([Violation("mesh", message)], details="Mesh is not found") from None

    def examine_deletion(self, key: ResourceKey) -> tuple[Violation, ...]:
        """The warnings for its deleter; deletes nothing.

        Raises ``NotFound`` for a resource that is not there, ``InvalidResource`` if it may not be deleted.
        """
        previous = self._readable(self._store.get(key))
        return _accept(self._admit(None, previous, self)) if previous else ()

    def delete(self, key: ResourceKey, check: Check | None = None) -> tuple[Violation, ...]:
        """Delete a resource and what cannot live without it; returns the warnings for its deleter.

        ``check`` gets what would be deleted, and raises if that may not be.
        A mesh takes everything inside it along, a dataplane its insight. Repeating the call finishes what an
        interrupted one left. Raises ``NotFound`` if the resource itself was not there, ``InvalidResource`` if
        it may not be deleted, ``Busy`` if a mesh is being deleted by somebody else who does not end.
        """
        warnings: tuple[Violation, ...] = ()
        with suppress(NotFound):  # a deletion that stopped halfway may have left something to clear away
            warnings = self.examine_deletion(key)
        if key.type == MESH:
            if check:
                self._checked(self._store.get(key), check)
            try:
                self._deletions.run(key)
            finally:
                self._reader.forget_mesh(key.mesh)
            return warnings
        try:
            self._delete_once(key, check)
        finally:
            self._reader.forget(key)
            for kind in self.kinds:
                if kind.owner == key.type:
                    self._discard(ResourceKey(kind.name, key.mesh, key.name))
        return warnings

    def _delete_once(self, key: ResourceKey, check: Check | None) -> None:
        """Delete what is there; where that is looked at before, nothing else that somebody put in its place."""
        if check is None:
            self._store.delete(key)
            return
        for _ in range(_ATTEMPTS):
            record = self._store.get(key)
            self._checked(record, check)
            try:
                delete_exactly(self._store, key, record.version)
                return
            except Conflict:
                continue
        raise self._contested(key)

    def owned_by_mesh(self, mesh: str) -> Iterator[ResourceKey]:
        """What goes with a mesh: all that is in it, but for what outlives it."""
        for kind in self.kinds:
            if kind.stored and kind.scope is Scope.MESH:
                keys = [record.key for record in self._store.list(kind.name, mesh)]
                yield from (key for key in keys if not self._keep(key))

    def _discard(self, key: ResourceKey) -> None:
        with suppress(NotFound):  # somebody else may delete it at the same moment
            self._store.delete(key)
        self._reader.forget(key)


def _accept(found: Iterable[Violation]) -> tuple[Violation, ...]:
    """The warnings; raises ``InvalidResource`` with the errors if there are any."""
    found = tuple(found)
    errors = [violation for violation in found if violation.severity is Severity.ERROR]
    if errors:
        raise InvalidResource(errors)
    return found
