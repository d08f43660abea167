"""The current view of every mesh, kept up to date from hints: what changed, and whom it can touch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from kuma_core.errors import UnreadableResource
from kuma_core.mesh.context import MeshContext, build_context
from kuma_core.model import Resource, ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.manager import DATAPLANE, MESH, ResourceManager
from kuma_core.xds.contract import Proxy

_log = structlog.get_logger("xds-views")

REMEMBERED_DELETIONS = 100_000
"""How many deleted dataplanes are remembered, so that a proxy that was away then is emptied on its return."""


@dataclass(slots=True)
class Effects:
    """What a batch of changes can touch."""

    meshes: set[str] = field(default_factory=set)
    """Meshes whose own spec changed: every proxy in them is touched."""
    services: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By mesh, the services whose endpoints changed."""
    proxies: set[Proxy] = field(default_factory=set)
    """Proxies whose own Dataplane changed."""


def _note_unreadable(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))


class Views:
    """Holds a ``MeshContext`` for every mesh. For one thread."""

    def __init__(self, resources: ResourceManager) -> None:
        self._resources = resources
        self._meshes: dict[str, MeshContext] = {}
        self._deleted: dict[Proxy, None] = {}
        self._effects = Effects()
        self.stale = True

    def mesh(self, name: str) -> MeshContext:
        """The view of a mesh; an empty one if there is no such mesh."""
        return self._meshes.get(name) or MeshContext(name)

    def was_deleted(self, proxy: Proxy) -> bool:
        """Whether the proxy's Dataplane was there once and was deleted since."""
        return proxy in self._deleted

    def forget(self) -> None:
        """Have everything read again by the next ``apply``."""
        self.stale = True

    def apply(self, changes: Iterable[Change]) -> Effects:
        """Look at what the changes point to and bring the views up to date.

        Raises ``KumaError`` if the store cannot be read. The next call then reads everything again, and its
        answer includes what this one had found before it failed.
        """
        keys = dict.fromkeys(change.key for change in changes if self._concerns(change))
        was_stale, self.stale = self.stale, True
        if was_stale or None in keys:
            self._resync(self._effects)
        else:
            for key in keys:
                assert key is not None
                self._refresh(key, self._effects)
        self.stale = False
        effects, self._effects = self._effects, Effects()
        return effects

    def _concerns(self, change: Change) -> bool:
        return change.op is Op.RESYNC or (change.key is not None and change.key.type in (MESH, DATAPLANE))

    def _refresh(self, key: ResourceKey, effects: Effects) -> None:
        try:
            resource = self._resources.find(key)
        except UnreadableResource as error:
            _note_unreadable(error)
            return
        if key.type == MESH:
            self._set_mesh(key.name, resource, effects)
        else:
            self._set_dataplane(Proxy(key.mesh, key.name), resource, effects)

    def _set_mesh(self, name: str, resource: Resource | None, effects: Effects) -> None:
        view = self.mesh(name)
        spec = resource.spec if resource else None
        if spec != view.mesh:
            self._meshes[name] = view.with_mesh(spec)
            effects.meshes.add(name)

    def _set_dataplane(self, proxy: Proxy, resource: Resource | None, effects: Effects) -> None:
        view = self.mesh(proxy.mesh)
        spec = resource.spec if resource else None
        if spec == view.dataplanes.get(proxy.name):
            return
        self._remember(proxy, gone=spec is None)
        self._meshes[proxy.mesh], touched = view.with_dataplane(proxy.name, spec)
        effects.proxies.add(proxy)
        effects.services[proxy.mesh] |= touched

    def _remember(self, proxy: Proxy, gone: bool) -> None:
        self._deleted.pop(proxy, None)
        if gone:
            self._deleted[proxy] = None
            if len(self._deleted) > REMEMBERED_DELETIONS:
                del self._deleted[next(iter(self._deleted))]

    def _resync(self, effects: Effects) -> None:
        """Read everything; what is as it was touches nobody."""
        meshes = {resource.name: resource.spec for resource in self._read(MESH)}
        dataplanes: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for resource in self._read(DATAPLANE):
            dataplanes[resource.mesh].append((resource.name, resource.spec))
        for name in {*self._meshes, *meshes, *dataplanes}:
            after = build_context(name, meshes.get(name), dataplanes.get(name, ()))
            self._compare(self.mesh(name), after, effects)
            self._meshes[name] = after

    def _read(self, type: str) -> list[Resource]:
        """All resources of a kind that can be read: one that cannot costs nobody else the configuration."""
        return self._resources.list(type, unreadable=_note_unreadable)

    def _compare(self, before: MeshContext, after: MeshContext, effects: Effects) -> None:
        if before.mesh != after.mesh:
            effects.meshes.add(after.name)
        for name in {*before.dataplanes, *after.dataplanes}:
            spec = after.dataplanes.get(name)
            if before.dataplanes.get(name) != spec:
                effects.proxies.add(Proxy(after.name, name))
                self._remember(Proxy(after.name, name), gone=spec is None)
        for service in {*before.offers, *after.offers}:
            if before.offers.get(service) != after.offers.get(service):
                effects.services[after.name].add(service)
