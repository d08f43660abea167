"""``GET /events`` as an ASGI app: reads the request, refuses as the REST API does, and follows the ring.

The query names meshes and kinds; the header ``Last-Event-ID`` says where to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl

from kuma_core.api.audit_ring import AuditRing
from kuma_core.api.cors import Cors
from kuma_core.api.errors import JSON, error_body
from kuma_core.api.pages import KnownHosts
from kuma_core.auth.access import AccessControl
from kuma_core.builtin.events.clients import Bell, Clients
from kuma_core.builtin.events.entrance import PATH, Denied, Visitor, caller_of
from kuma_core.builtin.events.ring import Filter
from kuma_core.documents import shown

METHODS = "GET, OPTIONS"
MOST_FILTERS = 100
"""How many meshes and kinds one client may name."""
LONGEST_ID = 200
MAX_AGE_SECONDS = 600

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # for a proxy in between that gathers answers
]


class Refused(Exception):
    """A request that is answered with a sentence."""

    def __init__(self, status: int, details: str) -> None:
        super().__init__(details)
        self.status = status


class EventsApp:
    """The app. ``kinds`` are those that a client may name, ``cors`` says which web pages may read answers, ``hosts`` by
    which names they may ask, ``access`` who may."""

    def __init__(
        self,
        clients: Clients,
        kinds: Collection[str],
        cors: Cors,
        hosts: KnownHosts,
        access: AccessControl,
        ring: AuditRing,
    ) -> None:
        self._clients, self._kinds, self._cors, self._hosts = clients, frozenset(kinds), cors, hosts
        self._access, self._ring = access, ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = _headers(scope)
        allowed = self._allowed(headers)
        try:
            if problem := self._hosts.problem(headers, headers.get("host", "")):
                raise Refused(403, problem)
            wanted = self._wanted(scope)
            visitor = Visitor(self._access, self._ring, caller_of(scope, headers, False))
            if scope["method"] != "OPTIONS":
                await visitor.require(wanted.meshes)
        except (Refused, Denied) as error:
            challenge = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
            body = error_body("Could not follow events", str(error))
            await _answer(send, error.status, [*allowed, *challenge], body)
            return
        if scope["method"] == "OPTIONS":
            await _answer(send, 200, [*allowed, *_preflight(headers)] if len(allowed) > 1 else allowed)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [*STREAM, *allowed]})
        await self._follow(visitor, wanted, headers.get("last-event-id", "")[:LONGEST_ID], receive, send)

    async def _follow(
        self, visitor: Visitor, wanted: Filter, last_id: str, receive: Receive, send: Send
    ) -> None:
        bell = Bell()
        leaving = asyncio.create_task(_until_left(receive, bell))
        try:
            async with aclosing(self._clients.follow(wanted, last_id, bell)) as pieces:
                async for piece in pieces:
                    if not await visitor.may_stay():
                        break
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()

    def _allowed(self, headers: Mapping[str, str]) -> Headers:
        """The headers by which a browser lets an allowed page read the answer."""
        origin, vary = headers.get("origin", ""), (b"vary", b"Origin")
        if not (origin and self._cors.allows(origin)):
            return [vary]
        return [vary, (b"access-control-allow-origin", origin.encode())]

    def _wanted(self, scope: Scope) -> Filter:
        """What a client wants to hear of; raises ``Refused``."""
        if scope["path"].rstrip("/") != PATH:
            raise Refused(404, f"There is nothing but {PATH} here")
        if scope["method"] not in ("GET", "OPTIONS"):
            raise Refused(405, f"{PATH} takes {METHODS}")
        try:
            query = parse_qsl(scope["query_string"].decode(), max_num_fields=MOST_FILTERS)
        except ValueError:
            raise Refused(400, f"the query has more than {MOST_FILTERS} parts, or is not UTF-8") from None
        unknown = [name for name, _ in query if name not in ("mesh", "kind")]
        if unknown:
            raise Refused(400, f"the query names {shown(unknown[0])}; mesh and kind are known")
        meshes = frozenset(value for name, value in query if name == "mesh")
        return Filter(meshes, self._named(value for name, value in query if name == "kind"))

    def _named(self, kinds: Iterable[str]) -> frozenset[str]:
        found = frozenset(kinds)
        if unknown := sorted(found - self._kinds):
            known = ", ".join(sorted(self._kinds))
            raise Refused(400, f"no events tell of a kind {shown(unknown[0])}; known are {known}")
        return found


async def _until_left(receive: Receive, bell: Bell) -> None:
    """Wake the client's task once the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass
    bell.left = True
    bell.set()


def _headers(scope: Scope) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _preflight(headers: Mapping[str, str]) -> Headers:
    """What a page may send along: ``fetch`` streams with an ``Authorization`` header, which ``EventSource`` cannot."""
    asked = headers.get("access-control-request-headers", "")
    found = [
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-max-age", str(MAX_AGE_SECONDS).encode()),
    ]
    return [*found, (b"access-control-allow-headers", asked.encode())] if asked.isascii() and asked else found


async def _answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    own = [(b"content-length", str(len(body)).encode())]
    own += [(b"content-type", JSON.encode())] if body else []
    own += [(b"allow", METHODS.encode())] if status == 405 else []
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
