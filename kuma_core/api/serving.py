"""``/serving`` of the bootstrap server: kuma-dp tells that its instance serves, or that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import falcon

from kuma_core.api.audit import asked
from kuma_core.api.contract import Route
from kuma_core.api.exchange import answer_json, begin, read_body
from kuma_core.api.pages import came_from_a_page
from kuma_core.auth.contract import Right, Unauthenticated
from kuma_core.errors import InvalidResource, NotFound, Violation
from kuma_core.resources.codec import read_json

MAX_BODY_BYTES = 64 * 1024
WAIT_SECONDS = 5.0
"""How long who leaves waits at most until the others have turned away."""
MOST_ASKING = 4
"""How many who prove nothing may wait at once, so that they leave room to others; they may be anybody."""
TURN_SECONDS = 1.0
"""How long one of them waits for its turn; each takes a tenth of a second or so."""


@dataclass(frozen=True, slots=True)
class Told:
    """Of which instance somebody tells, by which credential, and what; ``None`` asks alone, and changes nothing."""

    mesh: str
    name: str
    token: str
    serving: bool | None


class Serving:
    """``POST /serving``.

    ``require`` raises ``Unauthenticated`` unless somebody with this token may be this proxy, and returns whether he has
    proved to be it: who has not may ask alone, or anybody could take any instance away. ``tell`` stores whether it
    serves, and raises ``NotFound`` without a Dataplane. ``left`` waits for so many seconds at most, and returns how
    many proxies may send to it still. ``serving`` says whether others call it, ``None`` if nobody told.
    """

    def __init__(
        self,
        require: Callable[[str, str, str], bool],
        tell: Callable[[str, str, bool], object],
        left: Callable[[str, str, float], int],
        serving: Callable[[str, str], bool | None],
    ) -> None:
        self._require, self._tell, self._left, self._serving = require, tell, left, serving
        self._asking = BoundedSemaphore(MOST_ASKING)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell, or ask; answers how many proxies still send to one that leaves."""
        begin(req, "Could not tell whether an instance serves")
        asked(req)
        if reason := came_from_a_page(req):
            raise falcon.HTTPForbidden(
                title=req.context.title, description=f"Web pages tell nothing: {reason}"
            )
        told = read_told(read_json(read_body(req, MAX_BODY_BYTES)))
        try:
            pending = self._ask(told) if told.serving is None else self._hear(told, told.serving)
        except Unauthenticated as error:
            raise falcon.HTTPUnauthorized(title=req.context.title, description=str(error)) from None
        except NotFound:
            missing = f'There is no Dataplane "{told.name}" in mesh "{told.mesh}"; apply it first'
            raise falcon.HTTPNotFound(title=req.context.title, description=missing) from None
        answer_json(resp, {"serving": self._serving(told.mesh, told.name), "pending": pending})

    def _hear(self, told: Told, serving: bool) -> int:
        if not self._require(told.mesh, told.name, told.token):
            return 0 if serving else self._wait_in_turn(told)
        self._tell(told.mesh, told.name, serving)
        return 0 if serving else self._left(told.mesh, told.name, WAIT_SECONDS)

    def _ask(self, told: Told) -> int:
        return self._wait_in_turn(told) if self._serving(told.mesh, told.name) is False else 0

    def _wait_in_turn(self, told: Told) -> int:
        """Who comes too late is told that somebody may still call the instance."""
        if not self._asking.acquire(timeout=TURN_SECONDS):
            return 1
        try:
            return self._left(told.mesh, told.name, WAIT_SECONDS)
        finally:
            self._asking.release()


def serving_route(serving: Serving) -> Route:
    """Where it is served: whoever asks shows a credential of proxies, and none of users."""
    return Route("/serving", serving, right=Right.PUBLIC, writes=Right.PUBLIC)


def read_told(body: Any) -> Told:
    """Read a request, unknown fields aside; raises ``InvalidResource`` with every field that is wrong."""
    problems = [
        Violation(field, "cannot be empty" if body.get(field) in (None, "") else "expected text")
        for field in ("mesh", "name")
        if not (isinstance(body.get(field), str) and body[field])
    ]
    token, serving = body.get("dataplaneToken") or "", body.get("serving")
    if not isinstance(token, str):
        problems.append(Violation("dataplaneToken", "expected text"))
    if serving is not None and not isinstance(serving, bool):
        problems.append(Violation("serving", "expected true or false"))
    if problems:
        raise InvalidResource(problems, details="The request is not valid")
    return Told(body["mesh"], body["name"], token, serving)
