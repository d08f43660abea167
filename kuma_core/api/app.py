"""Puts the falcon app of an HTTP server together: which paths there are, and how a path is read."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import falcon

from kuma_core.api import errors
from kuma_core.api.contract import Route
from kuma_core.api.rights import IsForeign, Rights, nobody_is_foreign
from kuma_core.auth.access import AccessControl
from kuma_core.errors import KumaError
from kuma_core.histogram import Histogram

StartResponse = Callable[..., Any]

REQUEST_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.5, 10)
"""Into which buckets requests are counted: most take some milliseconds, a long list a second."""
ROUTE, UNKNOWN = "kuma.route", "unknown"
METHODS = frozenset(falcon.HTTP_METHODS)


def request_times() -> Histogram:
    """What counts how long requests take, by the template of the route, the method and the status code."""
    return Histogram(REQUEST_SECONDS, 3)


class _App(falcon.App[Any, Any]):
    """An app whose empty answers have no content type. ``times`` counts its requests; what a client takes to read the
    answer is no part of them."""

    times: Histogram | None = None

    def __call__(self, env: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (WSGI)."""
        if self.times is None:
            return self._answer(env, start_response)
        began, code = time.monotonic(), ""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal code
            code = status[:3]
            return start_response(status, headers, *rest)

        try:
            return self._answer(env, start)
        finally:
            method = env["REQUEST_METHOD"]
            labels = env.get(ROUTE, UNKNOWN), method if method in METHODS else UNKNOWN, code
            self.times.observe(time.monotonic() - began, *labels)

    def _answer(self, env: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if ("content-length", "0") in headers:
                headers = [header for header in headers if header[0] != "content-type"]
            return start_response(status, headers, *rest)

        try:
            return super().__call__(env, start)
        except BaseException as error:  # noqa: BLE001 - of a plugin's route; falcon takes no more than Exception
            status, headers, body = errors.beyond(env, error)
            start(status, headers)
            return [body]


class _Paths:
    """Sends clients of an unclean path to the clean one, as the original's router does."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Redirect ``//meshes/./x`` to ``/meshes/x``; a path with a NUL is no path at all."""
        if "\0" in req.path:
            raise falcon.HTTPNotFound
        clean = "/" + posixpath.normpath(req.path).lstrip("/")
        if clean != req.path:
            query = f"?{req.query_string}" if req.query_string else ""
            raise falcon.HTTPMovedPermanently(quote(clean, safe="/+") + query)


class _Routes:
    """Notes which route a request took: paths are without number, and no labels for metrics."""

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: Any, params: dict[str, Any]
    ) -> None:
        """Falcon found the route."""
        req.env[ROUTE] = req.uri_template


def build_app(
    routes: Iterable[Route],
    *middleware: Any,
    access: AccessControl,
    is_foreign: IsForeign = nobody_is_foreign,
    hint: Callable[[str], str] | None = None,
    times: Histogram | None = None,
) -> falcon.App[Any, Any]:
    """An app that serves the routes, ignores a trailing slash and answers every error as JSON.

    ``middleware`` says which web pages may use it, the first one first; ``access`` who may ask what, by the classes of
    the routes, and ``is_foreign`` which pages are strangers even on this machine. ``hint`` gives what is told beside
    the 404 of an unknown path. Requests are counted in ``times``. Raises ``KumaError`` for a template that falcon
    cannot tell apart from another one.
    """
    routes = list(routes)
    app = _App(middleware=[*middleware, Rights(access, routes, is_foreign), _Paths(), _Routes()])
    app.times = times
    app.req_options.strip_url_path_trailing_slash = True
    errors.register(app, hint)
    for route in routes:
        _require_true(route)
        try:
            app.add_route(route.template, route.resource)
        except ValueError as error:
            raise KumaError(f'the route "{route.template}" cannot be served: {error}') from error
    return app


def _require_true(route: Route) -> None:
    """falcon asks no middleware about a resource that counts as false, such as an empty collection: not even whether
    somebody may."""
    if any(hasattr(type(route.resource), name) for name in ("__bool__", "__len__")):
        raise KumaError(
            f'the route "{route.template}" cannot be served: its resource has a __len__ or a __bool__; wrap it in an '
            "object without"
        )
