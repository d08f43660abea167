"""Dataplanes beside their insights and their status: a join that is never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.api.paging import answer_page, read_page
from kuma_core.api.searching import read_search
from kuma_core.api.status_search import overviews
from kuma_core.model import Resource, ResourceKey
from kuma_core.resources.contract import Resources
from kuma_core.specs.base import to_document
from kuma_core.specs.dataplane import DATAPLANE, DataplaneSpec
from kuma_core.specs.insight import INSIGHT, OVERVIEW
from kuma_core.specs.presence import PresenceStatus
from kuma_core.specs.proxy_status import status_of

ANY = "*"

PresenceOf = Callable[[str, str], PresenceStatus | None]
"""Whether the instance of a Dataplane serves, by mesh and name; ``None`` where nobody asks."""

TAG_FILTER: dict[str, Any] = {
    "name": "tag",
    "in": "query",
    "description": "key:value; keeps the dataplanes with one inbound that has all such tags; * is any value.",
    "schema": {"type": "array", "items": {"type": "string"}},
}
"""How the filter is described in OpenAPI."""


class OverviewCollection:
    """``/meshes/{mesh}/dataplanes+insights``."""

    def __init__(self, resources: Resources, presence: PresenceOf) -> None:
        self._resources, self._presence = resources, presence

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """All dataplanes of a mesh; ``?tag=key:value`` keeps those with one inbound that has all the tags."""
        begin(req, "Could not retrieve dataplane overviews")
        page = read_page(req)
        wanted = read_tags(req.get_param_as_list("tag") or [])
        insights = self._resources.listed(INSIGHT, mesh)
        search = read_search(req, overviews(insights))
        found = self._resources.listed(DATAPLANE, mesh)
        if wanted:
            found = found.only(lambda dataplane: has_tags(dataplane.spec, wanted))

        def shown(item: Resource) -> dict[str, Any]:
            return _overview(item, insights.named(item.name), self._presence(mesh, item.name))

        answer_page(req, resp, page, found, shown, search)


class OverviewItem:
    """``/meshes/{mesh}/dataplanes+insights/{name}``."""

    def __init__(self, resources: Resources, presence: PresenceOf) -> None:
        self._resources, self._presence = resources, presence

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str) -> None:
        """One dataplane; its insight is ``{}`` while it never connected."""
        begin(req, "Could not retrieve a dataplane overview")
        dataplane = self._resources.get(ResourceKey(DATAPLANE, mesh, name))
        insight = self._resources.find(ResourceKey(INSIGHT, mesh, name))
        found = _overview(dataplane, insight, self._presence(mesh, name))
        answer_json(resp, dict(sorted({"dataplaneInsight": {}, **found}.items())))


def read_tags(filters: list[str]) -> Mapping[str, str]:
    """``key:value`` filters, split at the first colon; what has none is left aside."""
    return dict(item.split(":", 1) for item in filters if ":" in item)


def has_tags(spec: DataplaneSpec, wanted: Mapping[str, str]) -> bool:
    """Whether one inbound (or the gateway) has all the tags; ``*`` stands for any value."""
    return not wanted or any(
        all(key in tags and value in (ANY, tags[key]) for key, value in wanted.items())
        for tags in spec.tag_sets()
    )


def _overview(
    dataplane: Resource, insight: Resource | None, presence: PresenceStatus | None
) -> dict[str, Any]:
    item: dict[str, Any] = {"dataplane": to_document(dataplane.spec)}
    if insight:
        item["dataplaneInsight"] = to_document(insight.spec)
    item["status"] = to_document(status_of(insight.spec if insight else None))
    if presence:
        item["presence"] = to_document(presence)
    return {**item, "mesh": dataplane.mesh, "name": dataplane.name, "type": OVERVIEW}
