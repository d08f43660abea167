"""What control planes write of a Dataplane's proxies: their streams, what they acknowledged and rejected."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.model import ResourceType
    from kuma_core.plugin.contract import Component, Context


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """DataplaneInsight, and DataplaneOverview, which shows it beside its Dataplane."""
    from kuma_core.builtin.insights.kinds import KINDS

    return KINDS


@hookimpl
def kuma_register_routes(context: Context) -> Iterable[Route]:
    """The overviews, in both spellings of the path."""
    from kuma_core.api.contract import Route
    from kuma_core.api.overview import OverviewCollection, OverviewItem
    from kuma_core.auth.contract import Right
    from kuma_core.specs.insight import OVERVIEW
    from kuma_core.xds.presences import Presences

    presence = context.ask("presences", Presences).status
    for spelling in ("dataplanes+insights", "dataplane+insights"):
        path, reader = f"/meshes/{{mesh}}/{spelling}", partial(Route, right=Right.READER, kind=OVERVIEW)
        yield reader(path, OverviewCollection(context.resources, presence))
        yield reader(f"{path}/{{name}}", OverviewItem(context.resources, presence))


@hookimpl
def kuma_register_components(context: Context) -> Iterable[Component]:
    """The one that writes insights."""
    from kuma_core.builtin.insights.writer import InsightWriter

    return [InsightWriter(context)]
