"""``/logging``: the levels of this control plane's log. A change lasts until the control plane ends."""

from __future__ import annotations

from typing import Any

import falcon
import structlog

from kuma_core.api.audit import wrote
from kuma_core.api.exchange import answer_json, read_body
from kuma_core.errors import InvalidResource, MalformedResource, Violation
from kuma_core.log_levels import IN_FORCE, LEVELS, Levels, means, parse_levels
from kuma_core.resources.codec import read_json

COMPONENT = "logging"
_log = structlog.get_logger(COMPONENT)

MOST_BYTES = 16 * 1024


class LogLevels:
    """Shows the levels, and puts others in their place."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"level", "components": {name: level}, "silent": [name]}``."""
        answer_json(resp, _shown(IN_FORCE.levels))

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"level": "info,xds=debug"}`` is in force with the next line; 400 for what is no level."""
        req.context.title = "Could not change the levels of the log"
        levels = _levels(read_json(read_body(req, MOST_BYTES)))
        before = IN_FORCE.levels
        told = IN_FORCE.wants(COMPONENT, LEVELS["warning"])
        if told:  # while it can be: the new levels may keep it in
            _tell(before, levels)
        IN_FORCE.change(levels)
        if not told:
            _tell(before, levels)
        wrote(req, "updated", kind="log levels", name=str(levels))
        answer_json(resp, _shown(levels))


def _levels(body: Any) -> Levels:
    given = body.get("level")
    if not isinstance(given, str):
        said = "expected text, such as info,xds=debug"
        raise MalformedResource([Violation("level", said)], details=f"level: {said}")
    try:
        return parse_levels(given)
    except ValueError as error:
        raise InvalidResource([Violation("level", str(error))]) from None


def _tell(before: Levels, after: Levels) -> None:
    _log.warning("the levels of the log change", before=str(before), after=str(after))


def _shown(levels: Levels) -> dict[str, Any]:
    """The components are those that had something to tell so far; a name that means none of them is told as silent."""
    names = {number: name for name, number in LEVELS.items()}
    seen = sorted(IN_FORCE.seen)
    return {
        "level": str(levels),
        "components": {component: names[levels.of(component)] for component in seen},
        "silent": [name for name in sorted(levels.components) if not any(means(name, it) for it in seen)],
    }
