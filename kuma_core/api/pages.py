"""Which requests come from a web page, and the names by which a page may call us.

Browsers tell: they send ``Origin``, ``Referer`` or ``Sec-Fetch-…``, and programs do not. A page whose own name was
made to lead to this machine (DNS rebinding) passes for one of ours in its browser, so what a page calls us by counts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

import falcon

from kuma_core.config import Config

TITLE = "Could not process the request"
ALLOWED_HOSTS = "apiServer.allowedHosts (KUMA_API_SERVER_ALLOWED_HOSTS)"
_MARKS = ("ORIGIN", "REFERER")
_MARK = "SEC-FETCH-"


def known_hosts(config: Config) -> list[str]:
    """The names by which web pages may call a server of ours, beside those that every machine has."""
    return [config.text("general.advertisedHostname"), *config.texts("apiServer.allowedHosts")]


class KnownHosts:
    """Middleware: refuses (403) what a page sends to a name that is none of ours; programs may use any name.

    ``names`` are hosts that are ours beside IP addresses and ``localhost``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(map(plain, names)) - {""}

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Let programs through, and pages that call us by one of our names."""
        if problem := self.problem(req.headers, req.get_header("Host") or ""):
            raise falcon.HTTPForbidden(title=TITLE, description=problem)

    def problem(self, names: Iterable[str], host: str) -> str:
        """Why a request with headers of these ``names`` and this ``Host`` is refused; empty if it is not."""
        if not _tell_of_a_page(names):
            return ""
        host = host_of(host)
        if host in self._names or host == "localhost" or _is_address(host):
            return ""
        return (
            f"A web page calls this server {host!r:.100}, which is no name of it: it is neither an IP address nor "
            "localhost, nor general.advertisedHostname (KUMA_GENERAL_ADVERTISED_HOSTNAME), nor one of "
            f"{ALLOWED_HOSTS}"
        )


class NoPages(KnownHosts):
    """Middleware for a server that only programs use: no page gets an answer, from whatever name it comes."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Let programs through, and what an operator types into a browser."""
        super().process_request(req, resp)
        if reason := came_from_a_page(req):
            raise falcon.HTTPForbidden(
                title=TITLE, description=f"This server takes no requests of web pages: {reason}"
            )


def _tell_of_a_page(names: Iterable[str]) -> bool:
    """Whether a browser sent these headers, since it alone sends them; also where somebody typed the address."""
    return any((name := each.upper()) in _MARKS or name.startswith(_MARK) for each in names)


def came_from_a_page(req: falcon.Request) -> str:
    """Why it was a page that asked, and no person at the address bar; empty if none did."""
    if req.get_header("Origin") is not None:
        return "it carries an Origin, as web pages do"
    if (req.get_header("Sec-Fetch-Site") or "none").lower() != "none":
        return "its Sec-Fetch-Site says that it comes from a web page"
    return ""


def host_of(header: str) -> str:
    """The host of a ``Host`` header without its port, in plain form; ``""`` for what is no host."""
    try:
        return plain(urlsplit(f"//{header}").hostname or "")
    except ValueError:
        return ""


def plain(host: str) -> str:
    """A host in the one form that is compared: lower case, no brackets, no dot at the end."""
    return host.lower().strip("[]").rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a plain host is this machine by its nature."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
