"""What the REST API says about itself, and every kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from kuma_core.api import index, openapi
from kuma_core.api.contract import Route
from kuma_core.api.explain import Explain
from kuma_core.api.overview import TAG_FILTER
from kuma_core.api.resources import Limits, resource_routes
from kuma_core.api.xds import ProxyConfiguration
from kuma_core.auth.contract import Right
from kuma_core.builtin.inventory.contract import Inventory
from kuma_core.builtin.tokens.contract import tokens_enabled
from kuma_core.plugin.contract import Context
from kuma_core.specs.insight import OVERVIEW
from kuma_core.xds.contract import Previewer

PAGES = {
    "/": "How clients recognise a control plane.",
    "/config": "The effective configuration, without secrets.",
    "/catalog": "Where the sibling servers are.",
    "/kinds": "The kinds of resources, as a client needs to know them.",
    "/openapi.json": "This description.",
}


ON_KUBERNETES = (
    "; on Kubernetes write with kubectl: `kumactl apply -o kubernetes` turns documents into manifests for "
    "`kubectl apply -f -`, and `kubectl delete` deletes"
)
"""Who writes in a cluster."""


def routes(context: Context) -> Iterator[Route]:
    """The pages, and a collection and an item for every stored kind."""
    config, kinds = context.config, context.registered.kinds
    previewer = context.ask("previewer", Previewer)
    inventory = context.ask("builtin.inventory", Inventory)
    pages = {path: (text, _right(path)) for path, text in PAGES.items()}
    described = cache(partial(openapi.document, kinds, pages, {OVERVIEW: [TAG_FILTER]}))
    answers: dict[str, Callable[[], Any]] = {
        "/": index.index,
        "/config": config.as_document,
        "/catalog": partial(index.catalog, config, tokens_enabled(config)),
        "/kinds": lambda: index.kinds(kinds, inventory.missing, context.registered.policies),
        "/openapi.json": described,
    }
    for path in PAGES:
        yield Route(path, index.JsonPage(answers[path], one_line=path == "/config"), right=_right(path))
    is_kubernetes = config.text("environment") == "kubernetes"
    limits = Limits(
        config.number("apiServer.maxBodyBytes"),
        config.flag("apiServer.readOnly"),
        ON_KUBERNETES if is_kubernetes else "",
    )
    policies = context.registered.policies
    yield from resource_routes(kinds, context.resources, limits, previewer, policies)
    explain = Explain(context.resources, policies)
    yield Route("/meshes/{mesh}/explain", explain, right=Right.READER)
    yield Route("/meshes/{mesh}/dataplanes/{name}/xds", ProxyConfiguration(previewer), right=Right.ADMIN)


def _right(path: str) -> Right:
    """What a client has to know before it can show a credential is public; the configuration tells of machines."""
    return Right.READER if path == "/config" else Right.PUBLIC
