"""Everything that the kernel itself serves on the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kuma_core.api import index
from kuma_core.api.contract import Route
from kuma_core.api.overview import OverviewCollection, OverviewItem
from kuma_core.api.resources import Limits, resource_routes
from kuma_core.runtime.contract import Context


def routes(context: Context) -> Iterator[Route]:
    """The index routes, a collection and an item for every stored kind, and the overviews in both spellings."""
    config, catalog = context.config, context.catalog
    yield Route("/", index.Answer(index.index))
    yield Route("/config", index.Answer(config.as_document, one_line=True))
    yield Route("/catalog", index.Answer(partial(index.catalog, config)))
    yield Route("/kinds", index.Answer(partial(index.kinds, catalog.kinds)))
    limits = Limits(config.number("apiServer.maxBodyBytes"), config.flag("apiServer.readOnly"))
    yield from resource_routes(catalog.kinds, context.resources, limits)
    for spelling in ("dataplanes+insights", "dataplane+insights"):
        yield Route(f"/meshes/{{mesh}}/{spelling}", OverviewCollection(context.resources))
        yield Route(f"/meshes/{{mesh}}/{spelling}/{{name}}", OverviewItem(context.resources))
