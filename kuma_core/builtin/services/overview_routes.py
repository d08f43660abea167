"""``/overview``: every mesh in numbers, and all of them together; ``/meshes/{mesh}/overview``: one of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.api.paging import answer_page, read_page
from kuma_core.api.searching import Searchable, read_search
from kuma_core.builtin.services.findings import Finding
from kuma_core.builtin.services.mesh_map import Maps, MeshMap
from kuma_core.builtin.services.overview import counted, overview
from kuma_core.builtin.services.picture import COUNTED, Statuses
from kuma_core.builtin.services.routes import Mapped, StatusesOf
from kuma_core.model import Resource, ResourceKey, ResourceType, Scope
from kuma_core.plugin.contract import Views
from kuma_core.resources.contract import Record, Store
from kuma_core.resources.listed import ListedRecords
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.mesh import MESH

TITLE = "Could not look at the meshes"
FindingsOf = Callable[[MeshMap, Statuses], list[Finding]]


class Counts:
    """How many resources there are of each kind that operators write in meshes, beside Dataplanes.

    What proxies depend on is counted in memory; for kinds that they do not depend on the store is asked.
    """

    def __init__(self, kinds: Iterable[ResourceType], views: Views, store: Store) -> None:
        self._views, self._store = views, store
        self._kinds = [
            kind
            for kind in kinds
            if kind.scope is Scope.MESH
            and kind.served
            and kind.stored
            and not kind.status
            and kind.name != DATAPLANE
        ]

    def of(self, meshes: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """By mesh and kind."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        meshes = list(meshes)
        for kind in self._kinds:
            stored = self._in_store(kind, meshes)
            for mesh in meshes:
                found[mesh][kind.name] = stored.get(mesh, 0)
        return found

    def _in_store(self, kind: ResourceType, meshes: list[str]) -> Mapping[str, int]:
        if kind.affects_proxies:
            return {mesh: len(self._views.resources(kind.name, mesh)) for mesh in meshes}
        only = meshes[0] if len(meshes) == 1 else None
        return Counter(record.key.mesh for record in self._store.list(kind.name, only))


class _Overviews(Mapped):
    """What both routes share."""

    def __init__(self, maps: Maps, statuses: StatusesOf, findings: FindingsOf, counts: Counts) -> None:
        super().__init__(maps, statuses)
        self._findings, self._counts = findings, counts

    def _overview(self, found: MeshMap, resources: Mapping[str, int]) -> dict[str, Any]:
        statuses = self._statuses(found.context.name)
        return overview(found, statuses, self._findings(found, statuses), resources)


class MeshOverview(_Overviews):
    """``/meshes/{mesh}/overview``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """One mesh."""
        found, _ = self._look(req, mesh, TITLE)
        known = self._overview(found, self._counts.of([mesh])[mesh])
        answer_json(resp, {**known, "current": self._maps.is_current(found)})


class Overview(_Overviews):
    """``/overview``."""

    def __init__(
        self, maps: Maps, statuses: StatusesOf, findings: FindingsOf, counts: Counts, views: Views
    ) -> None:
        super().__init__(maps, statuses, findings, counts)
        self._views = views

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """All meshes in pages, and with ``totals`` what there is in all of them, on this page or not.

        ``current`` is false while something changed in a mesh of the page that the next answer will show.
        """
        begin(req, TITLE)
        page, search = read_page(req), read_search(req, Searchable())
        names = sorted(self._views.resources(MESH, ""))
        counts = self._counts.of(names)
        records = [Record(ResourceKey(MESH, name, name), "", "") for name in names]
        listed = ListedRecords(records, lambda record: Resource(record.key, None))
        seen: list[MeshMap] = []

        def item(listed: Resource) -> dict[str, Any]:
            found = self._maps.of(listed.name)
            if found is None:  # somebody deleted the mesh while the list is being written
                return {"name": listed.name}
            seen.append(found)
            return self._overview(found, counts[listed.name])

        def around() -> Iterator[tuple[str, Any]]:
            yield "totals", self._totals(names, counts)
            yield "current", all(map(self._maps.is_current, seen))

        answer_page(req, resp, page, listed, item, search, around())

    def _totals(self, names: list[str], counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
        dataplanes: Counter[str] = Counter(dict.fromkeys(("total", *COUNTED), 0))
        resources: Counter[str] = Counter()
        for mesh in names:
            dataplanes.update(counted(self._views.resources(DATAPLANE, mesh), self._statuses(mesh)))
            resources.update(counts[mesh])
        return {
            "meshes": len(names),
            "dataplanes": dict(dataplanes),
            "resources": dict(sorted(resources.items())),
        }
