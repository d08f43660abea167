"""``/serving`` of the bootstrap server: kuma-dp tells that its instance serves, or that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin, read_body
from kuma_core.auth.contract import Unauthenticated
from kuma_core.errors import InvalidResource, NotFound, Violation
from kuma_core.resources.codec import read_json

MAX_BODY_BYTES = 64 * 1024
WAIT_SECONDS = 5.0
"""How long who leaves waits at most until the others have turned away."""


@dataclass(frozen=True, slots=True)
class Told:
    """Of which instance somebody tells, by which credential, and what; ``None`` asks alone, and changes nothing."""

    mesh: str
    name: str
    token: str
    serving: bool | None


class Serving:
    """``POST /serving``.

    ``require`` raises ``Unauthenticated`` unless somebody with this token may be this proxy. ``tell`` stores whether it
    serves, and raises ``NotFound`` without a Dataplane. ``left`` waits for so many seconds at most, and returns how
    many proxies may send to it still. ``known`` is what was told last, ``None`` if nothing ever was.
    """

    def __init__(
        self,
        require: Callable[[str, str, str], None],
        tell: Callable[[str, str, bool], object],
        left: Callable[[str, str, float], int],
        known: Callable[[str, str], bool | None],
    ) -> None:
        self._require, self._tell, self._left, self._known = require, tell, left, known

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell; answers how many proxies still send to one that leaves. Nobody gets to know what he may not be."""
        begin(req, "Could not tell whether an instance serves")
        told = read_told(read_json(read_body(req, MAX_BODY_BYTES)))
        try:
            self._require(told.mesh, told.name, told.token)
            if told.serving is not None:
                self._tell(told.mesh, told.name, told.serving)
        except Unauthenticated as error:
            raise falcon.HTTPUnauthorized(title=req.context.title, description=str(error)) from None
        except NotFound:
            missing = f'There is no Dataplane "{told.name}" in mesh "{told.mesh}"; apply it first'
            raise falcon.HTTPNotFound(title=req.context.title, description=missing) from None
        serving = self._known(told.mesh, told.name) if told.serving is None else told.serving
        pending = self._left(told.mesh, told.name, WAIT_SECONDS) if serving is False else 0
        answer_json(resp, {"serving": serving, "pending": pending})


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
