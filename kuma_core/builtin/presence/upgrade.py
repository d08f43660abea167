"""Who serves though nobody told: instances that were there before control planes knew of joining and leaving.

An earlier version, or one with ``xdsServer.endpoints: registered``, stored nothing of it but their insights. Those are
read once, at the start, and only of Dataplanes of which nothing was told.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from kuma_core.errors import UnreadableResource
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Resources
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.insight import INSIGHT, InsightSpec
from kuma_core.specs.presence import PRESENCE
from kuma_core.xds.presences import Place

_log = structlog.get_logger("presence")

FEW = 100
"""Of so many Dataplanes the insight is asked for one by one; of more all insights are read."""


def served_before(resources: Resources) -> list[Place]:
    """The Dataplanes of which nothing was told, and whose proxies were connected without anybody to tell it."""
    untold = _places(resources, DATAPLANE) - _places(resources, PRESENCE)
    found = [place for place, insight in _insights(resources, untold) if _was_connected(insight)]
    if found:
        _log.info("instances serve of which nobody told: they were connected before", dataplanes=len(found))
    return found


def _places(resources: Resources, kind: str) -> set[Place]:
    found = resources.list(kind, unreadable=lambda error: None)  # the views tell of those
    return {(item.mesh, item.name) for item in found}


def _insights(resources: Resources, places: set[Place]) -> Iterator[tuple[Place, InsightSpec]]:
    if len(places) <= FEW:
        for mesh, name in sorted(places):
            yield from _insight(resources, mesh, name)
        return
    for item in resources.list(INSIGHT, unreadable=lambda error: None):
        if (item.mesh, item.name) in places:
            yield (item.mesh, item.name), item.spec


def _insight(resources: Resources, mesh: str, name: str) -> Iterator[tuple[Place, InsightSpec]]:
    try:
        found = resources.find(ResourceKey(INSIGHT, mesh, name))
    except UnreadableResource:
        return
    if found:
        yield (mesh, name), found.spec


def _was_connected(insight: InsightSpec) -> bool:
    return any(not stream.tells_serving for stream in insight.subscriptions)
