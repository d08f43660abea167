"""Which web pages may use the REST API from a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import falcon

from kuma_core.errors import ConfigError

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
EXPOSED = "Kuma-Result, Warning"
MAX_AGE_SECONDS = 600

_ORIGIN = re.compile(r"[!-~]{1,300}")
_PLAIN = re.compile(r"[A-Za-z0-9.:/_\[\]-]*")

Rule = Callable[[str], bool]


class Cors:
    """Middleware: answers preflight requests, and tells browsers that an allowed page may read an answer.

    ``domains`` are the entries of ``apiServer.corsAllowedDomains``: an origin, a host, or a regular
    expression that fits the whole of either; none at all allows every origin. Raises ``ConfigError``.
    """

    def __init__(self, domains: Iterable[str]) -> None:
        self._rules = [_rule(entry) for entry in domains]

    def allows(self, origin: str) -> bool:
        """Whether pages of that origin may use the API."""
        if not _ORIGIN.fullmatch(origin):
            return False
        return not self._rules or any(rule(origin) for rule in self._rules)

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Answer OPTIONS, unless the resource does so itself: it is for preflight alone."""
        if req.method != "OPTIONS" or resource is None or hasattr(resource, "on_options"):
            return
        methods = [name for name in METHODS if hasattr(resource, f"on_{name.lower()}")]
        wanted = req.get_header("Access-Control-Request-Method")
        if not wanted:
            raise falcon.HTTPMethodNotAllowed(methods)
        if wanted in methods and self.allows(req.get_header("Origin") or ""):
            self._permit(req, resp, methods)
        resp.complete = True

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        """Errors carry the headers too, or a page could not show them."""
        resp.append_header("Vary", "Origin")
        origin = req.get_header("Origin")
        if origin and self.allows(origin):
            resp.set_header("Access-Control-Allow-Origin", origin)
            resp.set_header("Access-Control-Expose-Headers", EXPOSED)

    def _permit(self, req: falcon.Request, resp: falcon.Response, methods: list[str]) -> None:
        resp.set_header("Access-Control-Allow-Methods", ", ".join(methods))
        resp.set_header("Access-Control-Max-Age", str(MAX_AGE_SECONDS))
        headers = req.get_header("Access-Control-Request-Headers")
        if headers and headers.isascii():
            resp.set_header("Access-Control-Allow-Headers", headers)
            resp.append_header("Vary", "Access-Control-Request-Headers")


def _rule(entry: str) -> Rule:
    """A plain entry is compared as it is, so that the dots of a host stand for dots only."""
    if _PLAIN.fullmatch(entry):
        return lambda origin: entry.lower() in _spellings(origin)
    try:
        pattern = re.compile(entry, re.IGNORECASE)
    except (re.error, RecursionError) as error:
        raise ConfigError(
            f'Invalid configuration: ApiServer validation failed: "{entry}" is no regular expression: '
            f"{error} "
            "(apiServer.corsAllowedDomains, KUMA_API_SERVER_CORS_ALLOWED_DOMAINS)"
        ) from None
    return lambda origin: any(pattern.fullmatch(text) for text in _spellings(origin))


def _spellings(origin: str) -> list[str]:
    """An origin, its host with the port, and its host alone, in lower case; ``null`` has no host."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:  # a bracket that is not closed
        return [origin.lower()]
    return [text for text in (origin.lower(), parts.netloc, parts.hostname) if text]
