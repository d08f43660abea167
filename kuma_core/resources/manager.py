"""Everything that is true of every resource, whatever its kind and whatever the store.

Defaults, rules, the owning mesh, compare-and-set and cascades live here, once. The order of the steps is that
of the API specification, 2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kuma_core.errors import (
    AlreadyExists,
    Conflict,
    InvalidResource,
    NotFound,
    Severity,
    UnreadableResource,
    Violation,
)
from kuma_core.model import Resource, ResourceKey, ResourceType, Scope
from kuma_core.plugin.catalog import Kinds
from kuma_core.resources import codec
from kuma_core.resources.contract import Store

MESH = "Mesh"
DATAPLANE = "Dataplane"
INSIGHT = "DataplaneInsight"

_ATTEMPTS = 5
"""How often a write is tried when others write the same resource at the same time."""


class Result(Enum):
    """What a write did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: what it did, the resource as stored, and what its writer should be told."""

    result: Result
    resource: Resource
    warnings: tuple[Violation, ...] = ()


class ResourceManager:
    """Reads and writes resources. Safe for use from several threads at once."""

    def __init__(self, store: Store, kinds: Kinds) -> None:
        self._store = store
        self._kinds = kinds

    def get(self, key: ResourceKey) -> Resource:
        """The stored resource; raises ``NotFound`` or ``StoreUnavailable``."""
        return codec.decode(self._kinds[key.type], self._store.get(key))

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
        kind, found = self._kinds[type], []
        for record in self._store.list(type, mesh):
            try:
                found.append(codec.decode(kind, record))
            except UnreadableResource as error:
                if unreadable is None:
                    raise
                unreadable(error)
        return found

    def put(self, resource: Resource) -> Written:
        """Create the resource or replace its spec as a whole.

        Raises ``InvalidResource`` with every rule that it breaks, ``Conflict`` if others keep writing it.
        """
        kind = self._kinds[resource.key.type]
        resource = Resource(resource.key, resource.spec.with_defaults())
        warnings = self._check(resource)
        for _ in range(_ATTEMPTS):
            try:
                result, stored = self._put_once(kind, resource)
                return Written(result, stored, warnings)
            except (Conflict, AlreadyExists):
                continue
        raise self._contested(resource.key)

    def amend(self, key: ResourceKey, change: Callable[[Any], Any]) -> Written:
        """Replace a spec by what ``change`` makes of the stored one (``None`` if there is none).

        If somebody else writes in between, ``change`` is called again with what is there then. Raises as
        ``put`` does.
        """
        kind = self._kinds[key.type]
        for _ in range(_ATTEMPTS):
            current = self.find(key)
            resource = Resource(
                key, change(current.spec if current else None), current.version if current else ""
            )
            warnings = self._check(resource)
            try:
                result, stored = self._write(kind, resource)
                return Written(result, stored, warnings)
            except (Conflict, AlreadyExists):
                continue
        raise self._contested(key)

    def _check(self, resource: Resource) -> tuple[Violation, ...]:
        found = list(resource.spec.violations())
        errors = [violation for violation in found if violation.severity is Severity.ERROR]
        if errors:
            raise InvalidResource(errors)
        return tuple(found)

    def _put_once(self, kind: ResourceType, resource: Resource) -> tuple[Result, Resource]:
        try:
            current = self._store.get(resource.key)
        except NotFound:
            return self._write(kind, resource)
        if current.document == codec.encode(resource):
            return Result.UNCHANGED, Resource(resource.key, resource.spec, current.version)
        return self._write(kind, Resource(resource.key, resource.spec, current.version))

    def _write(self, kind: ResourceType, resource: Resource) -> tuple[Result, Resource]:
        """Create the resource if it has no version yet, else replace the one of its version."""
        document = codec.encode(resource)
        if not resource.version:
            self._require_mesh(kind, resource)
            record = self._store.create(resource.key, document)
            return Result.CREATED, Resource(resource.key, resource.spec, record.version)
        record = self._store.update(resource.key, document, resource.version)
        return Result.UPDATED, Resource(resource.key, resource.spec, record.version)

    def _contested(self, key: ResourceKey) -> Conflict:
        return Conflict(f"the resource {key} is being written by others all the time; try again")

    def _require_mesh(self, kind: ResourceType, resource: Resource) -> None:
        if kind.scope is Scope.GLOBAL:
            return
        try:
            self._store.get(ResourceKey(MESH, resource.mesh, resource.mesh))
        except NotFound:
            message = f"mesh of name {resource.mesh} is not found"
            raise InvalidResource([Violation("mesh", message)], details="Mesh is not found") from None

    def ensure(self, resource: Resource) -> Resource:
        """Create the resource unless it is there already, and return what is there."""
        found = self.find(resource.key)
        return found or self.put(resource).resource

    def delete(self, key: ResourceKey) -> None:
        """Delete a resource and what cannot live without it.

        A mesh takes everything inside it along, a dataplane its insight. Repeating the call finishes what an
        interrupted one left. Raises ``NotFound`` if the resource itself was not there.
        """
        try:
            self._store.delete(key)
        finally:
            for owned in self._owned_by(key):
                self._discard(owned)

    def _owned_by(self, key: ResourceKey) -> Iterator[ResourceKey]:
        if key.type == DATAPLANE:
            yield ResourceKey(INSIGHT, key.mesh, key.name)
        if key.type == MESH:
            for kind in self._kinds:
                if kind.stored and kind.scope is Scope.MESH:
                    yield from (record.key for record in self._store.list(kind.name, key.name))

    def _discard(self, key: ResourceKey) -> None:
        with suppress(NotFound):  # somebody else may delete it at the same moment
            self._store.delete(key)
