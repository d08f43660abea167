"""Everything that the kernel itself serves on the REST API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from kuma_core.api import index, openapi
from kuma_core.api.contract import Route
from kuma_core.api.explain import Explain
from kuma_core.api.overview import OVERVIEW, TAG_FILTER, OverviewCollection, OverviewItem
from kuma_core.api.resources import Limits, resource_routes
from kuma_core.api.xds import ProxyConfiguration
from kuma_core.runtime.contract import Context

PAGES = {
    "/": "How clients recognise a control plane.",
    "/config": "The effective configuration, without secrets.",
    "/catalog": "Where the sibling servers are.",
    "/kinds": "The kinds of resources, as a client needs to know them.",
    "/openapi.json": "This description.",
}


def routes(context: Context) -> Iterator[Route]:
    """The pages, a collection and an item for every stored kind, and the overviews in both spellings."""
    config, catalog = context.config, context.catalog
    described = cache(partial(openapi.document, catalog.kinds, PAGES, {OVERVIEW: [TAG_FILTER]}))
    answers: dict[str, Callable[[], Any]] = {
        "/": index.index,
        "/config": config.as_document,
        "/catalog": partial(index.catalog, config),
        "/kinds": partial(index.kinds, catalog.kinds),
        "/openapi.json": described,
    }
    for path in PAGES:
        yield Route(path, index.Answer(answers[path], one_line=path == "/config"))
    limits = Limits(config.number("apiServer.maxBodyBytes"), config.flag("apiServer.readOnly"))
    yield from resource_routes(catalog.kinds, context.resources, limits, context.previewer)
    yield Route("/meshes/{mesh}/explain", Explain(context.resources, catalog.policies))
    yield Route("/meshes/{mesh}/dataplanes/{name}/xds", ProxyConfiguration(context.previewer))
    for spelling in ("dataplanes+insights", "dataplane+insights"):
        yield Route(f"/meshes/{{mesh}}/{spelling}", OverviewCollection(context.resources))
        yield Route(f"/meshes/{{mesh}}/{spelling}/{{name}}", OverviewItem(context.resources))
