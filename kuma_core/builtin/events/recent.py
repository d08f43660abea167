"""``GET /changes``: what was written lately, and which proxies came and went, as far as it is remembered here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.api.paging import read_page
from kuma_core.builtin.events.contract import REJECTION, RESOURCE, STATUS, Event
from kuma_core.builtin.events.ring import Ring
from kuma_core.errors import InvalidResource, Violation

TYPES = (RESOURCE, STATUS, REJECTION)
USUAL_SIZE, MOST = 50, 1000


class RecentChanges:
    """``/changes``: the newest first."""

    def __init__(self, ring: Ring) -> None:
        self._ring, self._since = ring, _time(datetime.now(UTC))

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """At most ``size`` of them, of the mesh ``mesh`` if it is named, of the types of each ``type``.

        ``since`` says from when on this control plane remembers anything.
        """
        begin(req, "Could not retrieve changes")
        types, page = _types(req), read_page(req)
        size = min(page.size, MOST) if page else USUAL_SIZE
        found = self._ring.latest(types, req.get_param("mesh") or "", size)
        items = [_item(datetime.fromtimestamp(at, UTC), event) for at, event in found]
        answer_json(resp, {"since": self._since, "items": items})


def _types(req: falcon.Request) -> frozenset[str]:
    wanted = req.get_param_as_list("type") or list(TYPES)
    if unknown := [name for name in wanted if name not in TYPES]:
        problem = Violation("type", f"expected {', '.join(TYPES)}, not {unknown[0]:.40}")
        raise InvalidResource([problem], details="The request is not valid")
    return frozenset(wanted)


def _item(at: datetime, event: Event) -> Mapping[str, Any]:
    members = {"kind": event.kind, "mesh": event.mesh, **event.data}
    told = {key: value for key, value in members.items() if value != "" and key != "version"}
    return {"at": _time(at), "type": event.type, **told}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
