"""Keeps web pages out of the admin server: a page open in the operator's browser must not mint tokens.

Browsers send an ``Origin`` or a ``Sec-Fetch-Site`` with what a page asks for; and a page whose name was made
to lead to this machine (DNS rebinding) comes with a ``Host`` that is none of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

import falcon

from kuma_core.api.errors import JSON
from kuma_core.api.pages import TITLE, came_from_a_page, host_of, is_loopback, plain


class Closed:
    """Middleware: refuses web pages (403) and bodies that are not declared to be JSON (415).

    ``names`` are the hosts by which the server may be called beside loopback. ``None``: by any, as over HTTPS,
    where no page can come by a wrong name.
    """

    def __init__(self, names: Iterable[str] | None) -> None:
        self._names = None if names is None else frozenset(map(plain, names)) - {""}

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Let programs through."""
        if reason := came_from_a_page(req):
            raise _refusal(reason)
        self._require_known_host(host_of(req.get_header("Host") or ""))
        _require_json(req)

    def _require_known_host(self, host: str) -> None:
        """Refuse foreign names: a web page whose name leads to our address passes for ours (DNS rebinding)."""
        if self._names is None or host in self._names or is_loopback(host):
            return
        raise _refusal(
            f"its Host {host!r:.100} is neither localhost nor general.advertisedHostname "
            "(KUMA_GENERAL_ADVERTISED_HOSTNAME)"
        )


def _require_json(req: falcon.Request) -> None:
    """A form of a web page can send JSON text, but never say that it does."""
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    has_body = bool(req.content_length) or req.get_header("Transfer-Encoding") is not None
    if has_body and kind != JSON:
        raise falcon.HTTPUnsupportedMediaType(
            title=TITLE, description=f"The body has to be sent with the header Content-Type: {JSON}"
        )


def _refusal(reason: str) -> falcon.HTTPForbidden:
    return falcon.HTTPForbidden(
        title=TITLE, description=f"The admin server takes no requests of web pages: {reason}"
    )
