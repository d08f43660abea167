"""From an error to an HTTP answer: one table, one JSON shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import falcon
import structlog

from kuma_core.api.audit import discreet_path, failed
from kuma_core.api.warning_headers import add_warnings, told_if_refused
from kuma_core.errors import (
    AlreadyExists,
    Busy,
    Conflict,
    InvalidResource,
    KumaError,
    NotFound,
    PluginError,
    StoreTakesNoWrites,
    StoreUnavailable,
    UnreadableResource,
    Violation,
)

_log = structlog.get_logger("api-server")

JSON = "application/json"

MOST_CAUSES = 5
"""How many the log has of one request."""

RETRY_SECONDS = 5
"""After how long a client may try again what was refused because of too much to do."""

STATUS: list[tuple[type[KumaError], int, str]] = [
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Conflict: the resource was changed by somebody else at the same time; try again"),
    (AlreadyExists, 409, "Conflict: the resource was created by somebody else at the same time; try again"),
    (Busy, 503, ""),
    (StoreTakesNoWrites, 503, "The store takes no writes at the moment"),
    (StoreUnavailable, 503, "The store cannot be reached at the moment; try again later"),
    (KumaError, 500, "Internal Server Error"),
]
"""The first class that fits decides the status and the ``details``; ``Busy`` has words of its own."""


def error_body(title: str, details: str, causes: Iterable[Violation] = ()) -> bytes:
    """The JSON of an error; ``causes`` is left out if there is none."""
    body: dict[str, Any] = {"title": title, "details": details}
    listed = [{"field": cause.field, "message": cause.message} for cause in causes]
    if listed:
        body["causes"] = listed
    return json.dumps(body, indent=1).encode()


def register(app: falcon.App[Any, Any], hint: Callable[[str], str] | None = None) -> None:
    """Have every error of an app answered in the one shape; ``hint`` gives the end of the text of an unknown path."""

    def http(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: object) -> None:
        details = error.description or _DEFAULTS.get(error.status_code, str(error.status))
        if error.status_code == 404 and not error.description and hint:
            details = f"{details}; {hint(req.path)}"
        failed(req, details)
        _answer(resp, error.status_code, error_body(error.title or str(error.status), details))
        if error.headers:
            resp.set_headers(error.headers)

    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(KumaError, _known)
    app.add_error_handler(falcon.HTTPError, http)


def _known(req: falcon.Request, resp: falcon.Response, error: KumaError, params: object) -> None:
    title = _title(req)
    add_warnings(resp, told_if_refused(req))
    if isinstance(error, InvalidResource):
        causes = [cause for cause in error.violations if cause.field]
        failed(
            req,
            "; ".join(
                [error.details, *(f"{cause.field}: {cause.message}" for cause in causes[:MOST_CAUSES])]
            ),
        )
        _answer(resp, 400, error_body(title, error.details, causes))
        return
    status, details = next((code, text) for known, code, text in STATUS if isinstance(error, known))
    if isinstance(error, Busy):
        details = str(error)
        resp.set_header("Retry-After", str(RETRY_SECONDS))
    if isinstance(error, StoreTakesNoWrites):
        details = f"{details}: {error.reason}; try again later"
    if isinstance(error, (UnreadableResource, PluginError)):
        details = f"Internal Server Error: {error}"
    failed(req, details)
    if status >= 500:
        _log.error("a request failed", method=req.method, path=discreet_path(req), problem=str(error))
    _answer(resp, status, error_body(title, details))


_DEFAULTS = {
    404: "There is nothing at this path",
    405: "This path does not take this method",
}


def _unexpected(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    failed(req, f"{type(error).__name__}; the line of api-server has the rest")
    _log.error("a request failed unexpectedly", method=req.method, path=discreet_path(req), exc_info=error)
    _answer(resp, 500, error_body(_title(req), "Internal Server Error"))


def beyond(environ: Mapping[str, Any], error: BaseException) -> tuple[str, list[tuple[str, str]], bytes]:
    """The answer to what no handler takes, such as the ``SystemExit`` of a plugin: status, headers and body."""
    method, path = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")
    _log.error("a request failed unexpectedly", method=method, path=path, exc_info=error)
    body = error_body("Could not process the request", "Internal Server Error")
    headers = [("Content-Type", JSON), ("Content-Length", str(len(body)))]
    return "500 Internal Server Error", headers, body


def _title(req: falcon.Request) -> str:
    return str(getattr(req.context, "title", "Could not process the request"))


def _answer(resp: falcon.Response, status: int, body: bytes) -> None:
    resp.status = status
    resp.data = body
    resp.content_type = JSON
