"""The GUI as an ASGI app: the pages, what they have to know first, and what they read.

``/api/…`` goes to the app of the REST API, ``/api/events`` to that of the events, each with the address and the
credential of whoever asks: nobody gets more here than there. Nothing but reads goes on.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from kuma_core.sdk import Apps
from kuma_core.sdk.http import error_body
from kuma_gui.pages import INDEX, File, Pages
from kuma_gui.stream import Audible

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

API, EVENTS = "/api", "/events"
PLACES = frozenset(("", "meshes", "first-run"))
"""First parts of the paths that are pages; the page itself says of others that there is nothing."""
SAFE: Headers = [
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
NOT_BUILT = b"""<!doctype html><html lang="en"><title>Kuma</title><h1>The pages are not there yet</h1>
<p>They are built from a checkout with <code>make pages</code>, which takes a minute; this page looks again by itself.
A wheel of kuma-gui holds them.</p></html>"""
LOOK_AGAIN: Headers = [(b"refresh", b"2"), (b"retry-after", b"2"), (b"cache-control", b"no-store")]


class Hosts(Protocol):
    """By which names a page may call us."""

    def problem(self, names: Any, host: str) -> str:
        """Why a request with these headers is refused; empty if it is not."""
        ...


class GuiApp:
    """The app. ``about`` is what ``/config`` says."""

    def __init__(self, pages: Pages, about: Mapping[str, Any], hosts: Hosts, apps: Apps) -> None:
        self._pages, self._about, self._hosts, self._apps = pages, about, hosts, apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        if problem := self._hosts.problem(headers, headers.get("host", "")):
            await _refuse(send, 403, problem)
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse(
                send, 405, f"The GUI reads and changes nothing; {scope['method']} is not served here"
            )
        elif path == API or path.startswith(API + "/"):
            if problem := _foreign_page(headers):
                await _refuse(send, 403, problem)
            else:
                await self._hand_on(scope, path.removeprefix(API) or "/", receive, send)
        elif path == "/config":
            await _answer(send, 200, "application/json", json.dumps(self._about).encode())
        else:
            await self._page(path, headers, send)

    async def _hand_on(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        if path.rstrip("/") != EVENTS:
            await self._apps.asgi("api-server")(inner, receive, send)
            return
        voice = Audible(send)
        try:
            await self._apps.asgi("events-server")(inner, receive, voice.send)
        finally:
            voice.close()

    async def _page(self, path: str, headers: Mapping[str, str], send: Send) -> None:
        files = self._pages.files()
        if file := files.get(path):
            await _send_file(send, 200, file, headers)
        elif not files:
            await _answer(send, 503, "text/html; charset=utf-8", NOT_BUILT, LOOK_AGAIN)
        elif path.split("/")[1] in PLACES:
            await _send_file(send, 200, files[INDEX], headers)
        elif "text/html" in headers.get("accept", ""):
            await _send_file(send, 404, files[INDEX], headers)
        else:
            await _refuse(send, 404, f"There is no file {path[:100]} here")


def _foreign_page(headers: Mapping[str, str]) -> str:
    """Why a page that did not come from here gets nothing of ``/api``; empty for our own pages and for programs.

    Browsers send ``Origin`` with what a page may read only by leave, and ``Sec-Fetch-Site`` with everything.
    """
    site = headers.get("sec-fetch-site", "none").lower()
    origin = headers.get("origin", "")
    is_ours = origin.partition("://")[2].lower() == headers.get("host", "").lower()
    if site in ("none", "same-origin") and (not origin or is_ours):
        return ""
    return (
        "What the GUI serves below /api is for its own pages; a page of another origin asks the REST API on "
        "apiServer.port, if apiServer.corsAllowedDomains allows it"
    )


async def _send_file(send: Send, status: int, file: File, headers: Mapping[str, str]) -> None:
    packed = bool(file.packed) and "gzip" in headers.get("accept-encoding", "")
    keeping = b"public, max-age=31536000, immutable" if file.kept else b"no-cache"
    more: Headers = [(b"cache-control", keeping), (b"vary", b"Accept-Encoding")]
    more += [(b"content-encoding", b"gzip")] if packed else []
    await _answer(send, status, file.type, file.packed if packed else file.body, more)


async def _refuse(send: Send, status: int, details: str) -> None:
    body = error_body("Could not process the request", details)
    await _answer(send, status, "application/json", body, [(b"allow", b"GET")] if status == 405 else [])


async def _answer(send: Send, status: int, type: str, body: bytes, more: Headers | None = None) -> None:
    own: Headers = [(b"content-type", type.encode()), (b"content-length", str(len(body)).encode())]
    more = more or [(b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *SAFE, *more]})
    await send({"type": "http.response.body", "body": body})
