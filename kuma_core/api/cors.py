"""Which web pages may read from the REST API in a browser, and which of them may write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import SplitResult, urlsplit

import falcon

from kuma_core.api.pages import TITLE
from kuma_core.errors import ConfigError

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
READS = ("GET", "HEAD", "OPTIONS")
NOBODY = "none"
SETTING = "apiServer.corsAllowedDomains, KUMA_API_SERVER_CORS_ALLOWED_DOMAINS"
EXPOSED = "Kuma-Result, Warning"
MAX_AGE_SECONDS = 600

_ORIGIN = re.compile(r"[!-~]{1,300}")
_PLAIN = re.compile(r"[A-Za-z0-9.:/_\[\]-]*")

Rule = Callable[[str], bool]


class Cors:
    """Middleware: answers preflight requests, tells browsers which page may read an answer, and refuses the writes of
    pages that no entry names outright.

    ``domains`` are the entries of ``apiServer.corsAllowedDomains``: an origin, a host, or a regular
    expression that fits the whole of either; none at all allows every origin, and ``none`` alone allows
    nobody. Raises ``ConfigError``.
    """

    def __init__(self, domains: Iterable[str]) -> None:
        entries = _without_nobody(list(domains))
        self._reads = None if entries == [] else [_rule(entry) for entry in entries or ()]
        self._named = frozenset(entry.lower() for entry in entries or () if _names_somebody(entry))

    def allows(self, origin: str) -> bool:
        """Whether pages of that origin may read what the API says."""
        if not _ORIGIN.fullmatch(origin):
            return False
        return self._reads is None or any(rule(origin) for rule in self._reads)

    def allows_writes(self, origin: str) -> bool:
        """Whether pages of that origin may change something: a pattern names nobody, it was made for reading."""
        return self.allows(origin) and not self._named.isdisjoint(_spellings(origin))

    def is_stranger(self, req: falcon.Request) -> bool:
        """Whether a page of another origin asks that may read alone, whoever sits before its browser."""
        source = _source(req)
        return _is_another_origin(req, source) and not self.allows_writes(source or "")

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        """Answer OPTIONS, unless the resource does so itself; refuse a write before anything is done."""
        if resource is None:
            return
        if req.method not in READS and hasattr(resource, f"on_{req.method.lower()}"):
            self._refuse_strangers(req)
        if req.method == "OPTIONS" and not hasattr(resource, "on_options"):
            self._answer_preflight(req, resp, resource)

    def _refuse_strangers(self, req: falcon.Request) -> None:
        """The page may be a form, too: it is not asked for permission before, and its writes are done."""
        source = _source(req)
        if not self.is_stranger(req):
            return
        raise falcon.HTTPForbidden(
            title=TITLE,
            description=f"A web page of another origin ({source or 'its browser does not tell which'!s:.200}) may "
            f"change something only if its origin or its host is named outright in {SETTING}; a pattern such as .* "
            "covers reading alone",
        )

    def _answer_preflight(self, req: falcon.Request, resp: falcon.Response, resource: object) -> None:
        served = [name for name in METHODS if hasattr(resource, f"on_{name.lower()}")]
        wanted = req.get_header("Access-Control-Request-Method")
        if not wanted:
            raise falcon.HTTPMethodNotAllowed(served)
        origin = req.get_header("Origin") or ""
        methods = [name for name in served if name in READS or self.allows_writes(origin)]
        if wanted in methods and self.allows(origin):
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

    def _permit(self, req: falcon.Request, resp: falcon.Response, methods: Sequence[str]) -> None:
        resp.set_header("Access-Control-Allow-Methods", ", ".join(methods))
        resp.set_header("Access-Control-Max-Age", str(MAX_AGE_SECONDS))
        headers = req.get_header("Access-Control-Request-Headers")
        if headers and headers.isascii():
            resp.set_header("Access-Control-Allow-Headers", headers)
            resp.append_header("Vary", "Access-Control-Request-Headers")


def _without_nobody(entries: list[str]) -> list[str] | None:
    """The entries; ``None`` where nobody is meant, which is another thing than nothing said."""
    if NOBODY not in entries:
        return entries
    if len(set(entries)) == 1:
        return None
    raise ConfigError(
        f'Invalid configuration: ApiServer validation failed: "{NOBODY}" allows nobody, so it has to stand alone '
        f"({SETTING})"
    )


def _names_somebody(entry: str) -> bool:
    """``null`` is the origin of every page that hides its own, and so names nobody."""
    return bool(entry and _PLAIN.fullmatch(entry)) and entry.lower() != "null"


def _source(req: falcon.Request) -> str | None:
    """The origin of the page that asks; ``None`` if its browser, or a program, tells none."""
    origin, referer = req.get_header("Origin"), req.get_header("Referer")
    if origin is not None or referer is None:
        return origin
    parts = _split(referer)
    return f"{parts.scheme}://{parts.netloc}" if parts and parts.netloc else "null"


def _is_another_origin(req: falcon.Request, source: str | None) -> bool:
    """Whether a page asks that did not come from this server; ``Host`` was looked at before."""
    if (req.get_header("Sec-Fetch-Site") or "none").lower() not in ("none", "same-origin"):
        return True
    if source is None:
        return False
    parts, host = _split(source), (req.get_header("Host") or "").lower()
    return not parts or not parts.netloc or parts.netloc.lower() != host


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return None


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
    parts = _split(origin.lower())
    if parts is None:
        return [origin.lower()]
    return [text for text in (origin.lower(), parts.netloc, parts.hostname) if text]
