"""``/meshes/{mesh}/services[/{name}]``, ``/service-map``, ``/findings`` and ``/dataplanes/{name}/policies``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.api.paging import answer_page, read_page
from kuma_core.api.searching import Searchable, read_search
from kuma_core.builtin.services import picture
from kuma_core.builtin.services.findings import Finding, as_document
from kuma_core.builtin.services.governing import governing
from kuma_core.builtin.services.mesh_map import Maps, MeshMap
from kuma_core.builtin.services.picture import Statuses
from kuma_core.model import Resource, ResourceKey
from kuma_core.policy.contract import Policy
from kuma_core.resources.contract import Listed, Record
from kuma_core.resources.listed import ListedRecords

StatusesOf = Callable[[str], Statuses]
"""The statuses of the proxies of a mesh, by dataplane."""


class Mapped:
    """What the routes share: the map of the mesh that is asked for, and the statuses of its proxies."""

    def __init__(self, maps: Maps, statuses: StatusesOf) -> None:
        self._maps, self._statuses = maps, statuses

    def _look(self, req: falcon.Request, mesh: str, title: str) -> tuple[MeshMap, Statuses]:
        begin(req, title)
        found = self._maps.of(mesh)
        if found is None:
            raise falcon.HTTPNotFound(title=title, description=f'There is no Mesh "{mesh}"')
        return found, self._statuses(mesh)


class ServiceMap(Mapped):
    """``/meshes/{mesh}/service-map``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """All nodes and edges. ``current`` is false while something changed that the next answer will show."""
        found, statuses = self._look(req, mesh, "Could not draw the service map")
        answer = {
            "mesh": mesh,
            "current": self._maps.is_current(found),
            "nodes": picture.nodes(found.traits, found.edges, statuses),
            "edges": [picture.edge(item, statuses, found.context.absent) for item in found.edges],
        }
        answer_json(resp, answer)


class Services(Mapped):
    """``/meshes/{mesh}/services``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """Every service that somebody offers or calls, in pages, searched and sorted as any list is."""
        found, statuses = self._look(req, mesh, "Could not retrieve services")
        page, search = read_page(req), read_search(req, SEARCHABLE)
        listed = _listed(mesh, picture.nodes(found.traits, found.edges, statuses))
        current = [("current", self._maps.is_current(found))]
        answer_page(req, resp, page, listed, lambda item: item.spec, search, current)


SEARCHABLE = Searchable(orders={"instances": lambda item: item.spec["instances"]["total"]})


def _listed(mesh: str, nodes: list[dict[str, Any]]) -> Listed:
    """Nodes as a list of resources, though nobody stores them: it can be cut, searched and sorted as such."""
    by_name = {node["name"]: node for node in nodes}
    records = [Record(ResourceKey("Service", mesh, name), "", "") for name in by_name]
    return ListedRecords(records, lambda record: Resource(record.key, by_name[record.key.name]))


class Service(Mapped):
    """``/meshes/{mesh}/services/{name}``."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str) -> None:
        """One service: its instances, whom it calls and who calls it."""
        title = "Could not retrieve a service"
        found, statuses = self._look(req, mesh, title)
        near = [item for item in found.edges if name in (item.source, item.destination)]
        node = next(
            (item for item in picture.nodes(found.traits, near, statuses) if item["name"] == name), None
        )
        if node is None:
            missing = f'Nobody offers or calls a service "{name}" in mesh "{mesh}"'
            raise falcon.HTTPNotFound(title=title, description=missing)
        current = self._maps.is_current(found)
        answer_json(resp, {**node, "mesh": mesh, "current": current, **_around(name, found, statuses)})


def _around(name: str, found: MeshMap, statuses: Statuses) -> dict[str, Any]:
    absent = found.context.absent
    instances = [
        {
            "dataplane": one,
            "status": statuses.get(one, picture.NEVER),
            "serves": one not in absent,
            "tags": tags,
        }
        for one, traits in found.traits.items()
        if name in traits.services
        for tags in [[dict(item) for item in traits.tag_sets if ("service", name) in item]]
    ]
    return {
        "dataplanes": instances,
        "calls": [picture.edge(item, statuses, absent) for item in found.edges if item.source == name],
        "calledBy": [
            picture.edge(item, statuses, absent) for item in found.edges if item.destination == name
        ],
    }


class Findings(Mapped):
    """``/meshes/{mesh}/findings``."""

    def __init__(
        self, maps: Maps, statuses: StatusesOf, search: Callable[[MeshMap, Statuses], Iterable[Finding]]
    ) -> None:
        super().__init__(maps, statuses)
        self._search = search

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """What an operator should look at, the worst first."""
        found, statuses = self._look(req, mesh, "Could not look for findings")
        items = [as_document(item) for item in self._search(found, statuses)]
        current = self._maps.is_current(found)
        answer_json(resp, {"mesh": mesh, "current": current, "total": len(items), "items": items})


class GoverningPolicies(Mapped):
    """``/meshes/{mesh}/dataplanes/{name}/policies``."""

    def __init__(self, maps: Maps, statuses: StatusesOf, policies: Iterable[Policy]) -> None:
        super().__init__(maps, statuses)
        self._policies = tuple(policies)

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str) -> None:
        """Which policies govern a dataplane, what of it, and why; its proxies need not be connected."""
        title = "Could not retrieve the policies of a dataplane"
        found, _ = self._look(req, mesh, title)
        if name not in found.traits:
            missing = f'There is no Dataplane "{name}" in mesh "{mesh}"'
            raise falcon.HTTPNotFound(title=title, description=missing)
        told = governing(found, name, self._maps.decisions(found), self._policies)
        answer_json(resp, {"mesh": mesh, "name": name, "current": self._maps.is_current(found), **told})
