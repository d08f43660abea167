"""What takes the place of a route with secrets where everybody may ask: a refusal that says the ways that there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import falcon

from kuma_core.api.contract import Route


class Elsewhere:
    """Refuses every method (403) with one sentence."""

    def __init__(self, ways: str) -> None:
        self._ways = ways

    def on_get(self, req: falcon.Request, resp: falcon.Response, **params: Any) -> None:
        """Refuse; nothing of the body is read."""
        raise falcon.HTTPForbidden(title="Could not process the request", description=self._ways)

    on_head = on_post = on_put = on_patch = on_delete = on_get


def without_secrets(routes: Iterable[Route], ways: str) -> list[Route]:
    """The routes, with a refusal in place of those that are confidential."""
    return [Route(route.template, Elsewhere(ways)) if route.confidential else route for route in routes]


def without_any(routes: Iterable[Route], ways: str) -> list[Route]:
    """A refusal in place of every route."""
    return [Route(route.template, Elsewhere(ways)) for route in routes]
