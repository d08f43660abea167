"""``POST /in-force`` sets a fence behind all that was written, ``GET /in-force/{id}`` says who is behind it still."""

from __future__ import annotations

import falcon

from kuma_core.api.audit import asked
from kuma_core.api.exchange import answer_json, begin
from kuma_core.api.rights import visit_of
from kuma_core.auth.contract import NOBODY, Verb
from kuma_core.builtin.in_force.fences import Fences
from kuma_core.errors import InvalidResource, Violation

MOST_MESHES = 100


class SetFence:
    """``/in-force``."""

    def __init__(self, fences: Fences) -> None:
        self._fences = fences

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set one, for the proxies of each ``?mesh=``; without any, for all that there are. ``?since=`` another one."""
        begin(req, "Could not wait for a change")
        asked(req)
        _refuse_nobody(req)
        meshes = sorted(set(req.get_param_as_list("mesh") or [""]))
        if len(meshes) > MOST_MESHES:
            violation = Violation("mesh", f"at most {MOST_MESHES} meshes may be named")
            raise InvalidResource([violation], details="The request is not valid")
        answer_json(resp, {"id": self._fences.set(meshes, req.get_param("since") or "")})
        resp.status = falcon.HTTP_201


def _refuse_nobody(req: falcon.Request) -> None:
    """Of fences there are few: who proved nothing, and so wrote nothing, does not take those of others."""
    visit = visit_of(req)
    if visit.user.by == NOBODY:
        visit.require(Verb.ADMIN, name="/in-force")


class FenceItem:
    """``/in-force/{id}``."""

    def __init__(self, fences: Fences) -> None:
        self._fences = fences

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        """Who is behind it still, and which control planes have not said so yet."""
        begin(req, "Could not wait for a change")
        answer_json(resp, self._fences.state(id))
