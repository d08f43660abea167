"""The audit line: each write over HTTP, accepted or refused, and each denial, with who asked and what became of it.

It holds names and results, never content. The latest lines are kept in memory, too, for ``GET /audit``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import falcon
import structlog

from kuma_core.api.audit_ring import AuditRing
from kuma_core.counted import CountedLine
from kuma_core.log_levels import IN_FORCE

READS = frozenset(("GET", "HEAD", "OPTIONS"))
UNCHANGED = "unchanged"

LONGEST_TEXT = 500
LONGEST_NAME = 253
MOST_KINDS = 1000

_LONG_WORD = re.compile(r"[\w+/=.-]{32,}", re.ASCII)

_log = structlog.get_logger("audit")
_refused = CountedLine(_log, "info", "a write is refused", most=MOST_KINDS)
_unchanged = CountedLine(_log, "info", "a write changes nothing", most=MOST_KINDS)
_denied = CountedLine(_log, "info", "a request is denied", most=MOST_KINDS)

SERVER = "api-server"
_requests = structlog.get_logger(SERVER)


def discreet(text: str, longest: int = LONGEST_TEXT) -> str:
    """A text for the log, which a client may have put a key or a token into, where none belongs."""
    return _LONG_WORD.sub(lambda found: _shortened(found[0]), text[:longest])


def discreet_path(req: falcon.Request) -> str:
    """The path of a request, each part of it for itself; never its query."""
    return "/".join(map(discreet, req.path[:LONGEST_TEXT].split("/")))


def _shown(value: object) -> object:
    return discreet(value, LONGEST_NAME) if isinstance(value, str) else value


def _shortened(word: str) -> str:
    """Names are in lower letters; what is written in base64 has all kinds."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return f"{word[:6]}…" if all(any(map(kind, word)) for kind in kinds) else word


def about(req: falcon.Request, kind: str, mesh: str, name: str) -> None:
    """Say what a request would write; ``mesh`` is empty where there is none."""
    req.context.about = {"kind": kind, **({"mesh": mesh} if mesh else {}), "name": name}


def wrote(req: falcon.Request, result: str, **what: object) -> None:
    """Say what a request did, as ``created``, and to what; ``unchanged`` is no write."""
    req.context.result = result
    if what:
        req.context.about = what


def asked(req: falcon.Request) -> None:
    """Say that a request writes nothing, whatever its method is."""
    req.context.asks = True


def failed(req: falcon.Request, problem: str) -> None:
    """Say why a request is refused."""
    req.context.problem = problem


def denied(req: falcon.Request, what: str, why: str) -> None:
    """Say that somebody may not do what they ask."""
    req.context.denied = {"asked": what} if what else {}
    req.context.reason = why


class Audit:
    """Middleware, in front of all other: has a line for every write and denial, and at ``debug`` for every request.

    ``ring`` keeps the latest.
    """

    def __init__(self, ring: AuditRing | None = None) -> None:
        self._ring = ring or AuditRing()

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Note when it came."""
        req.context.began = time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        """Tell what became of it."""
        if IN_FORCE.is_debugging(SERVER):
            _tell_of_a_request(req, resp)
        if hasattr(req.context, "denied"):
            self._tell_of_a_denial(req, resp)
        elif req.method not in READS and not getattr(req.context, "asks", False):
            self._tell_of_a_write(req, resp)

    def _tell_of_a_denial(self, req: falcon.Request, resp: falcon.Response) -> None:
        said = {**_said(req), **req.context.denied}
        tell_of_a_denial(self._ring, said, resp.status_code, req.context.reason, who(req))

    def _tell_of_a_write(self, req: falcon.Request, resp: falcon.Response) -> None:
        said = {name: _shown(value) for name, value in _said(req).items()}
        source = who(req)
        if binding := getattr(req.context, "binding", ""):
            source["binding"] = discreet(binding)
        result = getattr(req.context, "result", "done")
        if resp.status_code >= 400:
            problem = discreet(getattr(req.context, "problem", ""))
            kind = f"{resp.status_code} {said.get('kind', req.path[:LONGEST_NAME])} {source['address']}"
            _refused(kind, **{**said, "status": resp.status_code, "problem": problem, **source})
            said |= {"result": "refused", "status": resp.status_code, "problem": problem}
            self._ring.add_refusal({**said, **source})
            return
        if result == UNCHANGED:
            _unchanged(f"{said.get('kind', '')} {source['address']}", **{**said, **source})
        else:
            _log.info("a write is accepted", **{"result": result, **said, **source})
        self._ring.add_write({**said, "result": result, **source})


def tell_of_a_denial(
    ring: AuditRing, said: Mapping[str, Any], status: int, why: str, source: Mapping[str, str]
) -> None:
    """Have a line for what somebody may not do: ``said`` is what they asked, ``source`` who they are."""
    shown = {name: _shown(value) for name, value in said.items()}
    reason = discreet(why)
    what = shown.get("asked", shown.get("path", ""))
    _denied(f"{what} {source['address']}", **{**shown, "status": status, "problem": reason, **source})
    ring.add_denial({**shown, "result": "denied", "status": status, "problem": reason, **source})


def _said(req: falcon.Request) -> dict[str, Any]:
    found: dict[str, Any] = getattr(req.context, "about", None) or {
        "method": req.method[:20],
        "path": discreet_path(req),
    }
    return found


def _tell_of_a_request(req: falcon.Request, resp: falcon.Response) -> None:
    spent = time.perf_counter() - req.context.began
    _requests.debug(
        "a request is answered",
        method=req.method[:20],
        path=discreet_path(req),
        status=resp.status_code,
        ms=round(spent * 1000, 1),
        **who(req),
    )


def certificate_of(req: falcon.Request) -> str:
    """Whom the client's certificate names, and its number; empty without one."""
    scope = req.env.get("asgi.scope") or {}
    return str(scope.get("state", {}).get("certificate", ""))[:LONGEST_NAME]


def who(req: falcon.Request) -> dict[str, str]:
    """From where a request came, who asked by what proof, and with what program as it says itself."""
    found = {"address": req.remote_addr[:100]}
    visit = getattr(req.context, "visit", None)
    if visit and (user := visit.known):
        found |= {"user": discreet(user.name, LONGEST_NAME), "by": user.by}
        if user.id:
            found["credential"] = user.id[:100]
    if agent := req.user_agent:
        found["agent"] = agent[:80]
    return found
