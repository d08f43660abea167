"""What the control plane knows of every mesh, kept up to date from hints: what changed, and whom it can touch."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import structlog

from kuma_core.errors import StoreUnavailable, UnreadableResource
from kuma_core.mesh.context import MeshContext, build_context
from kuma_core.model import Resource, ResourceKey, Scope
from kuma_core.plugin.boundary import PluginFailed, told
from kuma_core.policy.contract import Policy
from kuma_core.policy.matching import Entry, MeshPolicies
from kuma_core.resources.contract import Change, Resources
from kuma_core.specs.dataplane import DATAPLANE, DataplaneSpec
from kuma_core.specs.mesh import MESH, MeshSpec
from kuma_core.specs.presence import PRESENCE, PresenceState
from kuma_core.xds.presences import Presences

_log = structlog.get_logger("xds-views")

MANY_CHANGES = 200
"""Past so many changes at once it is cheaper to read everything than to look at each."""

REMEMBERED_DELETIONS = 100_000
"""How many deleted dataplanes we remember, so as to empty a proxy that was away then when it returns."""


@dataclass(slots=True)
class Effects:
    """What a batch of changes can touch."""

    meshes: set[str] = field(default_factory=set)
    """Meshes whose own spec changed: the change touches every proxy in them."""
    services: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By mesh, the services whose endpoints changed."""
    proxies: set[tuple[str, str]] = field(default_factory=set)
    """Mesh and name of proxies whose own Dataplane changed."""
    policies: list[tuple[str, Policy, Entry]] = field(default_factory=list)
    """Policy resources, as they were and as they are: the mesh, how they act, and the resource."""
    kinds: set[tuple[str, str]] = field(default_factory=set)
    """Kinds and meshes in which a resource of the kind changed; the mesh of a global kind is ``""``."""

    def counts(self) -> dict[str, int]:
        """How much of each there is, for the log."""
        services = sum(map(len, self.services.values()))
        found = {"meshes": len(self.meshes), "services": services, "proxies": len(self.proxies)}
        return {**found, "policies": len(self.policies)}

    def concern(self, mesh: str) -> bool:
        """Whether any of it can touch a proxy of the mesh."""
        return (
            mesh in self.meshes
            or bool(self.services.get(mesh))
            or any(place in (mesh, "") for _, place in self.kinds)
            or any(found == mesh for found, _ in self.proxies)
        )


def _note_unreadable(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))


_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NO_POLICIES = MeshPolicies()


class MeshViews:
    """Holds a ``MeshContext`` for every mesh, and the other resources that proxies can depend on.

    One thread alone calls ``apply``, which freezes what it finds and puts it in place as a whole: any thread may read.
    ``presences`` know which Dataplanes are endpoints; without them all are.
    """

    def __init__(
        self, resources: Resources, policies: Iterable[Policy] = (), presences: Presences | None = None
    ) -> None:
        self._resources = resources
        self.presences = presences or Presences(everybody=True)
        self._by_kind = {policy.kind: policy for policy in policies}
        self._others = frozenset(
            kind.name
            for kind in resources.kinds
            if kind.stored and kind.affects_proxies and kind.name not in (MESH, DATAPLANE, *self._by_kind)
        )
        self._specs: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._meshes: dict[str, MeshContext] = {}
        self._policies: dict[str, MeshPolicies] = {}
        self._deleted: dict[tuple[str, str], None] = {}
        self._effects = Effects()
        self._named: set[str] = set()  # meshes of which a change came since we read everything
        self._guard = threading.Lock()
        self._heard = self._taken = self._shown = 0  # how many changes
        self.stale = True

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that the views show: changes of all others matter to no proxy."""
        return tuple(sorted({MESH, DATAPLANE, PRESENCE, *self._by_kind, *self._others}))

    def mesh(self, name: str) -> MeshContext:
        """The view of a mesh; an empty one if there is no such mesh."""
        return self._meshes.get(name) or MeshContext(name)

    def policies(self, mesh: str) -> MeshPolicies:
        """The policies of a mesh."""
        return self._policies.get(mesh) or _NO_POLICIES

    def mesh_spec(self, mesh: str) -> MeshSpec | None:
        """The spec of a Mesh; ``None`` if there is no such mesh."""
        return self.mesh(mesh).mesh

    def dataplane_spec(self, mesh: str, name: str) -> DataplaneSpec | None:
        """The spec of a Dataplane; ``None`` if there is no such one."""
        return self.mesh(mesh).dataplanes.get(name)

    def resources(self, kind: str, mesh: str) -> Mapping[str, Any]:
        """The specs of all resources of a kind that affects proxies in a mesh, by name; of a global kind all.

        Raises ``KeyError`` for any other kind.
        """
        if kind == MESH:
            meshes = list(self._meshes.values())
            return {view.name: view.mesh for view in meshes if view.mesh}
        if kind == DATAPLANE:
            return self.mesh(mesh).dataplanes
        if kind in self._by_kind:
            found = self.policies(mesh).index(kind).entries
            return {name: entry.spec for name, entry in found.items()}
        if kind not in self._others:
            raise KeyError(f"{kind} is no registered kind that affects proxies")
        return self._specs.get((kind, self._place(kind, mesh)), _NOTHING)

    def counts(self) -> Mapping[str, int]:
        """How many resources there are of each kind that affects proxies."""
        meshes, policies = list(self._meshes.values()), list(self._policies.values())
        counts = {MESH: sum(view.mesh is not None for view in meshes)}
        counts[DATAPLANE] = sum(len(view.dataplanes) for view in meshes)
        counts |= {kind: sum(len(item.index(kind).entries) for item in policies) for kind in self._by_kind}
        specs = list(self._specs.items())
        return counts | {
            kind: sum(len(found) for (one, _), found in specs if one == kind) for kind in self._others
        }

    def presence_counts(self) -> Mapping[str, int]:
        """How many Dataplanes are in which state of presence; where everybody is an endpoint, all serve."""
        counts = Counter({state.value: 0 for state in PresenceState})
        for view in list(self._meshes.values()):
            counts[PresenceState.SERVING.value] += len(view.dataplanes) - len(view.absent)
            told = [self.presences.told(view.name, name) for name in view.absent]
            counts[PresenceState.JOINING.value] += told.count(None)
            counts[PresenceState.LEAVING.value] += len(told) - told.count(None)
        return counts

    def was_deleted(self, mesh: str, name: str) -> bool:
        """Whether a Dataplane was there once and somebody deleted it since."""
        return (mesh, name) in self._deleted

    def frozen(self) -> MeshViews:
        """These views as they are now: what ``apply`` finds later does not show in them.

        They share what is frozen anyway, and what ``was_deleted`` knows. For the thread that calls ``apply``.
        """
        other = copy(self)
        other._meshes, other._policies, other._specs = (
            dict(self._meshes),
            dict(self._policies),
            dict(self._specs),
        )
        return other

    def imagine(self, key: ResourceKey, resource: Resource | None) -> tuple[MeshViews, Effects]:
        """Other views, in which the resource is as given (``None``: gone), and whom that would touch.

        For frozen ones, or for the thread that calls ``apply``.
        """
        other, effects = self.frozen(), Effects()
        other._deleted = {}  # who imagines asks for no deletions, and must not note any
        other.presences = self.presences.copied()
        if self._watches(key.type):
            other._set(key, resource, effects)
        return other, effects

    def hear(self) -> None:
        """Note that a change is on its way to ``apply``; from any thread."""
        with self._guard:
            self._heard += 1

    def are_behind(self) -> bool:
        """Whether a change was heard of that the views do not show yet: they gather bursts. From any thread."""
        return self.stale or self._shown < self._heard

    def apply(self, changes: Collection[Change]) -> Effects:
        """Look at what the changes point to and bring the views up to date.

        Raises ``KumaError`` if it cannot read the store. The next call then reads everything again, and its
        answer includes what this one had found before it failed.
        """
        self._taken += len(changes)
        keys = dict.fromkeys(change.key for change in changes if self._concerns(change))
        self._named |= {key.name for key in keys if key and key.type == MESH}
        was_stale, self.stale = self.stale, True
        if was_stale or None in keys or len(keys) > MANY_CHANGES:
            self._resync(self._effects)
        else:
            for key in keys:
                assert key is not None
                self._refresh(key, self._effects)
        self._shown, self.stale = self._taken, False
        self._named.clear()
        effects, self._effects = self._effects, Effects()
        return effects

    def _concerns(self, change: Change) -> bool:
        return change.key is None or self._watches(change.key.type)

    def _watches(self, kind: str) -> bool:
        return kind in (MESH, DATAPLANE, PRESENCE) or kind in self._by_kind or kind in self._others

    def _place(self, kind: str, mesh: str) -> str:
        """Under which key the resources of a kind lie: those of a global kind in one place for all meshes."""
        return "" if self._resources.kinds[kind].scope is Scope.GLOBAL else mesh

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
        elif key.type == PRESENCE:
            self._set_presence(key.mesh, key.name, resource, effects)
        elif key.type in self._by_kind:
            self._set_policy(self._by_kind[key.type], key.mesh, key.name, resource, effects)
        else:
            self._set_other(key, resource, effects)

    def _set_other(self, key: ResourceKey, resource: Resource | None, effects: Effects) -> None:
        place = (key.type, self._place(key.type, key.mesh))
        known = self._specs.get(place, _NOTHING)
        spec = resource.spec if resource else None
        if spec == known.get(key.name):
            return
        others = {name: found for name, found in known.items() if name != key.name}
        found = others if spec is None else {**others, key.name: spec}
        self._specs[place] = MappingProxyType(dict(sorted(found.items())))
        effects.kinds.add(place)

    def _set_mesh(self, name: str, resource: Resource | None, effects: Effects) -> None:
        view = self.mesh(name)
        spec = resource.spec if resource else None
        if spec != view.mesh:
            self._meshes[name] = view.with_mesh(spec)
            effects.meshes.add(name)
            effects.kinds.add((MESH, ""))

    def _set_dataplane(self, mesh: str, name: str, resource: Resource | None, effects: Effects) -> None:
        view = self.mesh(mesh)
        spec = resource.spec if resource else None
        if spec == view.dataplanes.get(name):
            return
        self._remember(mesh, name, gone=spec is None)
        if name not in view.dataplanes:
            self.presences.dataplane_came((mesh, name))
        self._meshes[mesh], touched = view.with_dataplane(name, spec, self.presences.serves(mesh, name))
        effects.proxies.add((mesh, name))
        effects.kinds.add((DATAPLANE, mesh))
        effects.services[mesh] |= touched

    def _set_presence(self, mesh: str, name: str, resource: Resource | None, effects: Effects) -> None:
        """An instance joins or leaves. Its own configuration stays as it is."""
        self.presences.tell((mesh, name), resource.spec if resource else None)
        view = self.mesh(mesh)
        spec, serves = view.dataplanes.get(name), self.presences.serves(mesh, name)
        if spec is not None and serves is (name in view.absent):
            self._meshes[mesh], touched = view.with_dataplane(name, spec, serves)
            effects.services[mesh] |= touched

    def _set_policy(
        self, policy: Policy, mesh: str, name: str, resource: Resource | None, effects: Effects
    ) -> None:
        known = self.policies(mesh)
        before = known.index(policy.kind).entries.get(name)
        problem = known.unplaced(policy.kind).get(name, "")
        if not problem and (before and before.spec) == (resource and resource.spec):
            return
        try:
            after = Entry(name, resource.spec, policy.ends(resource.spec)) if resource else None
        except Exception as error:  # noqa: BLE001 - a stored record must not end the thread
            said = error.said if isinstance(error, PluginFailed) else told(error)
            self._set_problem(policy, mesh, name, said, effects)
            return
        if problem:
            known = known.with_problem(policy.kind, name, "")
            effects.meshes.add(mesh)
        self._policies[mesh] = known.with_entry(policy.kind, name, after)
        effects.policies += [(mesh, policy, entry) for entry in (before, after) if entry]
        effects.kinds.add((policy.kind, mesh))

    def _set_problem(self, policy: Policy, mesh: str, name: str, said: str, effects: Effects) -> None:
        """Note a resource of which nobody knows to whom it applies; it may be every proxy of the mesh."""
        known = self.policies(mesh)
        problem = f'plugin "{policy.plugin}": {policy.kind} "{name}": {said}'
        if known.unplaced(policy.kind).get(name) == problem:
            return
        _log.error(
            "a stored policy cannot be placed; proxies of its mesh keep what they have", problem=problem
        )
        self._policies[mesh] = known.with_problem(policy.kind, name, problem)
        effects.meshes.add(mesh)

    def _remember(self, mesh: str, name: str, gone: bool) -> None:
        self._deleted.pop((mesh, name), None)
        if gone:
            self.presences.dataplane_gone((mesh, name))
            self._deleted[(mesh, name)] = None
            if len(self._deleted) > REMEMBERED_DELETIONS:
                del self._deleted[next(iter(self._deleted))]

    def _resync(self, effects: Effects) -> None:
        """Read everything; what is as it was touches no proxy.

        Where all meshes went although the watch told of no deletion, somebody restores a backup, or slipped: empty no
        proxy then.
        """
        meshes = {resource.name: resource.spec for resource in self._read(MESH)}
        known = {name for name, view in self._meshes.items() if view.mesh}
        if not meshes and known - self._named:
            raise StoreUnavailable(
                "there is no mesh in it any more, as if it had been emptied; proxies keep what they have. "
                "If that is meant, restart the control plane"
            )
        dataplanes: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for resource in self._read(DATAPLANE):
            dataplanes[resource.mesh].append((resource.name, resource.spec))
        if PRESENCE in self._resources.kinds:
            told = self._read(PRESENCE)
            self.presences.tell_all({(item.mesh, item.name): item.spec for item in told})
        for name in {*self._meshes, *meshes, *dataplanes}:
            for dataplane, _ in dataplanes.get(name, ()):
                if dataplane not in self.mesh(name).dataplanes:
                    self.presences.dataplane_came((name, dataplane))
            serves = partial(self.presences.serves, name)
            after = build_context(name, meshes.get(name), dataplanes.get(name, ()), serves)
            self._compare(self.mesh(name), after, effects)
            self._meshes[name] = after
        for policy in self._by_kind.values():
            self._resync_policies(policy, effects)
        for kind in sorted(self._others):
            self._resync_others(kind, effects)

    def _resync_policies(self, policy: Policy, effects: Effects) -> None:
        found = {(item.mesh, item.name): item for item in self._read(policy.kind)}
        known = {
            (mesh, name)
            for mesh, policies in self._policies.items()
            for name in {*policies.index(policy.kind).entries, *policies.unplaced(policy.kind)}
        }
        for mesh, name in sorted(known | found.keys()):
            self._set_policy(policy, mesh, name, found.get((mesh, name)), effects)

    def _resync_others(self, kind: str, effects: Effects) -> None:
        found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
        for resource in self._read(kind):
            found[kind, self._place(kind, resource.mesh)][resource.name] = resource.spec
        for place in {*found, *(place for place in self._specs if place[0] == kind)}:
            if self._specs.get(place, _NOTHING) != found.get(place, {}):
                self._specs[place] = MappingProxyType(dict(sorted(found.get(place, {}).items())))
                effects.kinds.add(place)

    def _read(self, type: str) -> list[Resource]:
        """All readable resources of a kind: one that is broken costs the others nothing."""
        broken: list[object] = []

        def note(error: UnreadableResource) -> None:
            _note_unreadable(error)
            broken.append(error.key)

        found = self._resources.list(type, unreadable=note)
        return [*found, *(item for item in map(self._known, broken) if item)]

    def _known(self, key: object) -> Resource | None:
        """A resource as the views show it: one that cannot be read any more stays what it was."""
        if not isinstance(key, ResourceKey):
            return None
        spec: Any = None
        if key.type == MESH:
            spec = self.mesh(key.name).mesh
        elif key.type == DATAPLANE:
            spec = self.mesh(key.mesh).dataplanes.get(key.name)
        elif key.type == PRESENCE:
            spec = self.presences.told(key.mesh, key.name)
        elif key.type in self._by_kind:
            entry = self.policies(key.mesh).index(key.type).entries.get(key.name)
            spec = entry.spec if entry else None
        else:
            spec = self._specs.get((key.type, self._place(key.type, key.mesh)), _NOTHING).get(key.name)
        return None if spec is None else Resource(key, spec)

    def _compare(self, before: MeshContext, after: MeshContext, effects: Effects) -> None:
        if before.mesh != after.mesh:
            effects.meshes.add(after.name)
            effects.kinds.add((MESH, ""))
        for name in {*before.dataplanes, *after.dataplanes}:
            spec = after.dataplanes.get(name)
            if before.dataplanes.get(name) != spec:
                effects.proxies.add((after.name, name))
                effects.kinds.add((DATAPLANE, after.name))
                self._remember(after.name, name, gone=spec is None)
        for service in {*before.offers, *after.offers}:
            if before.offers.get(service) != after.offers.get(service):
                effects.services[after.name].add(service)
