"""The current view of every mesh, kept up to date from hints: what changed, and whom it can touch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import structlog

from kuma_core.errors import StoreUnavailable, UnreadableResource
from kuma_core.mesh.context import MeshContext, build_context
from kuma_core.model import Resource, ResourceKey
from kuma_core.policy.contract import Policy
from kuma_core.policy.matching import Entry, MeshPolicies
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.manager import DATAPLANE, MESH, ResourceManager

_log = structlog.get_logger("xds-views")

MANY_CHANGES = 200
"""Past so many changes at once it is cheaper to read everything than to look at each."""

REMEMBERED_DELETIONS = 100_000
"""How many deleted dataplanes are remembered, so that a proxy that was away then is emptied on its return."""


@dataclass(slots=True)
class Effects:
    """What a batch of changes can touch."""

    meshes: set[str] = field(default_factory=set)
    """Meshes whose own spec changed: every proxy in them is touched."""
    services: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By mesh, the services whose endpoints changed."""
    proxies: set[tuple[str, str]] = field(default_factory=set)
    """Mesh and name of proxies whose own Dataplane changed."""
    policies: list[tuple[str, Policy, Entry]] = field(default_factory=list)
    """Policy resources, as they were and as they are: the mesh, how they act, and the resource."""


def _note_unreadable(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))


class Views:
    """Holds a ``MeshContext`` for every mesh. For one thread."""

    def __init__(self, resources: ResourceManager, policies: Iterable[Policy] = ()) -> None:
        self._resources = resources
        self._kinds = {policy.kind: policy for policy in policies}
        self._meshes: dict[str, MeshContext] = {}
        self._policies: dict[str, MeshPolicies] = {}
        self._deleted: dict[tuple[str, str], None] = {}
        self._effects = Effects()
        self._farewells: set[str] = set()  # meshes of which a change was told since all was read
        self.stale = True

    def mesh(self, name: str) -> MeshContext:
        """The view of a mesh; an empty one if there is no such mesh."""
        return self._meshes.get(name) or MeshContext(name)

    def policies(self, mesh: str) -> MeshPolicies:
        """The policies of a mesh."""
        return self._policies.get(mesh) or MeshPolicies()

    def was_deleted(self, mesh: str, name: str) -> bool:
        """Whether a Dataplane was there once and was deleted since."""
        return (mesh, name) in self._deleted

    def imagine(self, key: ResourceKey, resource: Resource | None) -> tuple[Views, Effects]:
        """Other views, in which the resource is as given (``None``: gone), and whom that would touch."""
        other, effects = copy(self), Effects()
        other._meshes, other._policies = dict(self._meshes), dict(self._policies)
        other._deleted = dict(self._deleted)
        if key.type in (MESH, DATAPLANE, *self._kinds):
            other._set(key, resource, effects)
        return other, effects

    def apply(self, changes: Iterable[Change]) -> Effects:
        """Look at what the changes point to and bring the views up to date.

        Raises ``KumaError`` if the store cannot be read. The next call then reads everything again, and its
        answer includes what this one had found before it failed.
        """
        keys = dict.fromkeys(change.key for change in changes if self._concerns(change))
        self._farewells |= {key.name for key in keys if key and key.type == MESH}
        was_stale, self.stale = self.stale, True
        if was_stale or None in keys or len(keys) > MANY_CHANGES:
            self._resync(self._effects)
        else:
            for key in keys:
                assert key is not None
                self._refresh(key, self._effects)
        self.stale = False
        self._farewells.clear()
        effects, self._effects = self._effects, Effects()
        return effects

    def _concerns(self, change: Change) -> bool:
        watched = (MESH, DATAPLANE, *self._kinds)
        return change.op is Op.RESYNC or (change.key is not None and change.key.type in watched)

    def _refresh(self, key: ResourceKey, effects: Effects) -> None:
        try:
            resource = self._resources.find(key)
        except UnreadableResource as error:
            _note_unreadable(error)
            return
        self._set(key, resource, effects)

    def _set(self, key: ResourceKey, resource: Resource | None, effects: Effects) -> None:
        if key.type == MESH:
            self._set_mesh(key.name, resource, effects)
        elif key.type == DATAPLANE:
            self._set_dataplane(key.mesh, key.name, resource, effects)
        else:
            self._set_policy(self._kinds[key.type], key.mesh, key.name, resource, effects)

    def _set_mesh(self, name: str, resource: Resource | None, effects: Effects) -> None:
        view = self.mesh(name)
        spec = resource.spec if resource else None
        if spec != view.mesh:
            self._meshes[name] = view.with_mesh(spec)
            effects.meshes.add(name)

    def _set_dataplane(self, mesh: str, name: str, resource: Resource | None, effects: Effects) -> None:
        view = self.mesh(mesh)
        spec = resource.spec if resource else None
        if spec == view.dataplanes.get(name):
            return
        self._remember(mesh, name, gone=spec is None)
        self._meshes[mesh], touched = view.with_dataplane(name, spec)
        effects.proxies.add((mesh, name))
        effects.services[mesh] |= touched

    def _set_policy(
        self, policy: Policy, mesh: str, name: str, resource: Resource | None, effects: Effects
    ) -> None:
        known = self.policies(mesh)
        before = known.index(policy.kind).entries.get(name)
        after = Entry(name, resource.spec, policy.ends(resource.spec)) if resource else None
        if (before and before.spec) == (after and after.spec):
            return
        self._policies[mesh] = known.with_entry(policy.kind, name, after)
        effects.policies += [(mesh, policy, entry) for entry in (before, after) if entry]

    def _remember(self, mesh: str, name: str, gone: bool) -> None:
        self._deleted.pop((mesh, name), None)
        if gone:
            self._deleted[(mesh, name)] = None
            if len(self._deleted) > REMEMBERED_DELETIONS:
                del self._deleted[next(iter(self._deleted))]

    def _resync(self, effects: Effects) -> None:
        """Read everything; what is as it was touches nobody.

        Where all meshes went without a word, a backup is being restored, or somebody slipped: nobody is emptied.
        """
        meshes = {resource.name: resource.spec for resource in self._read(MESH)}
        known = {name for name, view in self._meshes.items() if view.mesh}
        if not meshes and known - self._farewells:
            raise StoreUnavailable(
                "there is no mesh in it any more, as if it had been emptied; proxies keep what they have. "
                "If that is meant, restart the control plane"
            )
        dataplanes: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for resource in self._read(DATAPLANE):
            dataplanes[resource.mesh].append((resource.name, resource.spec))
        for name in {*self._meshes, *meshes, *dataplanes}:
            after = build_context(name, meshes.get(name), dataplanes.get(name, ()))
            self._compare(self.mesh(name), after, effects)
            self._meshes[name] = after
        for policy in self._kinds.values():
            self._resync_policies(policy, effects)

    def _resync_policies(self, policy: Policy, effects: Effects) -> None:
        found = {(item.mesh, item.name): item for item in self._read(policy.kind)}
        known = {
            (mesh, name)
            for mesh, policies in self._policies.items()
            for name in policies.index(policy.kind).entries
        }
        for mesh, name in sorted(known | found.keys()):
            self._set_policy(policy, mesh, name, found.get((mesh, name)), effects)

    def _read(self, type: str) -> list[Resource]:
        """All resources of a kind that can be read: one that cannot costs nobody else the configuration."""
        return self._resources.list(type, unreadable=_note_unreadable)

    def _compare(self, before: MeshContext, after: MeshContext, effects: Effects) -> None:
        if before.mesh != after.mesh:
            effects.meshes.add(after.name)
        for name in {*before.dataplanes, *after.dataplanes}:
            spec = after.dataplanes.get(name)
            if before.dataplanes.get(name) != spec:
                effects.proxies.add((after.name, name))
                self._remember(after.name, name, gone=spec is None)
        for service in {*before.offers, *after.offers}:
            if before.offers.get(service) != after.offers.get(service):
                effects.services[after.name].add(service)
