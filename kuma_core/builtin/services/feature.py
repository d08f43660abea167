"""The feature: one set of maps, which all its routes answer from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from kuma_core.api.contract import Route
from kuma_core.auth.contract import Right
from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.events.contract import Events
from kuma_core.builtin.services.findings import SEARCHES, Finding, Sight, in_order
from kuma_core.builtin.services.lag import Lags
from kuma_core.builtin.services.mesh_map import FrozenViews, Maps, MeshMap
from kuma_core.builtin.services.overview_routes import Counts, MeshOverview, Overview
from kuma_core.builtin.services.picture import SERVING, Statuses
from kuma_core.builtin.services.platform_findings import (
    clocks_apart,
    ending_certificates,
    instances_away,
    memory_store,
)
from kuma_core.builtin.services.policy_routes import PolicyItem, PolicyKinds, PolicyList
from kuma_core.builtin.services.routes import Findings, GoverningPolicies, Service, ServiceMap, Services
from kuma_core.builtin.services.watch import FindingsWatch
from kuma_core.builtin.status.contract import ProxyStatuses
from kuma_core.ca.contract import Authorities
from kuma_core.plugin.contract import ChangeListener, Component, Context
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.mesh import MESH
from kuma_core.xds.contract import Enforcement
from kuma_core.xds.presences import Presences


def _to_read(template: str, resource: object) -> Route:
    return Route(template, resource, right=Right.READER)


class ServicesFeature:
    """What is open of the maps of services."""

    def __init__(self, context: Context) -> None:
        self._config = context.config
        self._policies = context.registered.policies
        self._authorities = context.ask("authorities", Authorities)
        self._maps = Maps(context.ask("views", FrozenViews), self._policies)
        self._statuses = context.ask("builtin.status", ProxyStatuses)
        self._kinds = context.registered.kinds
        self._lags = Lags(context.ask("enforcement", Enforcement))
        self._views, self._presences = context.views, context.ask("presences", Presences)
        self._counts = Counts(self._kinds, context.views, context.store)
        self._cluster = context.ask("builtin.cluster", Cluster)
        events = context.ask("builtin.events", Events)
        self._watch = FindingsWatch(events, self._look, lambda: context.views.resources(MESH, ""))
        self._statuses.listen(lambda transition: self._watch.note(transition.mesh))

    @hookimpl
    def kuma_register_routes(self) -> Iterable[Route]:
        """The map, the services and the findings of a mesh, and what governs one dataplane of it."""
        maps, statuses = self._maps, self._statuses.states
        yield _to_read("/meshes/{mesh}/service-map", ServiceMap(maps, statuses))
        yield _to_read("/meshes/{mesh}/services", Services(maps, statuses))
        yield _to_read("/meshes/{mesh}/services/{name}", Service(maps, statuses))
        yield _to_read("/meshes/{mesh}/findings", Findings(maps, statuses, self._found))
        known = (maps, statuses, self._kinds, self._policies)
        yield _to_read("/meshes/{mesh}/policies", PolicyKinds(*known))
        yield _to_read("/meshes/{mesh}/policies/{kind}", PolicyList(*known))
        yield _to_read("/meshes/{mesh}/policies/{kind}/{name}", PolicyItem(*known, self._lags.of))
        seen = (maps, statuses, self._found, self._counts)
        yield _to_read("/overview", Overview(*seen, self._views))
        yield _to_read("/meshes/{mesh}/overview", MeshOverview(*seen))
        path = "/meshes/{mesh}/dataplanes/{name}/policies"
        yield _to_read(path, GoverningPolicies(maps, statuses, self._policies))

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """Whatever is written may make a finding, or end it."""
        return [ChangeListener(self._watch.changed)]

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """The one that tells of other findings."""
        return [self._watch]

    def _look(self, mesh: str) -> tuple[list[Finding], bool] | None:
        found = self._maps.of(mesh)
        if found is None:
            return None
        return self._found(found, self._statuses.states(mesh)), self._maps.is_current(found)

    def _found(self, mesh: MeshMap, statuses: Statuses) -> list[Finding]:
        sight = Sight(mesh, self._policies, statuses)
        found = [finding for search in SEARCHES for finding in search(sight)]
        return in_order([*found, *self._around(sight)])

    def _around(self, sight: Sight) -> Iterator[Finding]:
        yield from memory_store(self._config, sight.mesh)
        yield from clocks_apart(self._cluster, sight.map.context)
        yield from instances_away(sight.map.context, self._presences, self._connected(sight))
        if sight.map.context.mesh:
            yield from ending_certificates(self._authorities, sight.mesh, sight.map.context.mesh)

    def _connected(self, sight: Sight) -> dict[str, datetime]:
        """Since when the proxies of a mesh are connected, of those that do not serve."""
        absent = sight.map.context.absent
        since = self._statuses.since(sight.mesh) if absent else {}
        return {name: since[name] for name in absent & since.keys() if sight.statuses.get(name) in SERVING}
