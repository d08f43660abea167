"""Puts the falcon app of the REST API together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import falcon

from kuma_core.api import errors
from kuma_core.api.contract import Route
from kuma_core.errors import KumaError

DISCARDED_BYTES = 64 * 1024 * 1024
"""How large a body may be to be answered politely; beyond that the HTTP server itself refuses."""


def build_app(routes: Iterable[Route]) -> falcon.App[Any, Any]:
    """An app that serves the routes, ignores a trailing slash and answers every error as JSON.

    Raises ``KumaError`` for a template that falcon cannot tell apart from another one.
    """
    app = falcon.App()
    app.req_options.strip_url_path_trailing_slash = True
    errors.register(app)
    for route in routes:
        try:
            app.add_route(route.template, route.resource)
        except ValueError as error:
            raise KumaError(f'the route "{route.template}" cannot be served: {error}') from error
    return app


def json_body(value: Any) -> bytes:
    """JSON indented by one space, without a newline at its end (API specification, 2.2)."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def answer_json(resp: falcon.Response, value: Any) -> None:
    """Answer 200 with JSON."""
    resp.data = json_body(value)
    resp.content_type = errors.JSON


def read_body(req: falcon.Request, limit: int) -> bytes:
    """The body of a request; a larger one than ``limit`` bytes is refused with 413."""
    if (req.content_length or 0) <= limit:
        body = req.bounded_stream.read(limit + 1)
        if len(body) <= limit:
            return bytes(body)
    raise falcon.HTTPContentTooLarge(
        title="Could not process a resource",
        description=f"The body has more than {limit} bytes (apiServer.maxBodyBytes)",
    )
