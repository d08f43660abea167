"""``/plugins/quarantine``: which plugins this control plane calls no more, and how it calls one again."""

from __future__ import annotations

from collections.abc import Iterator

import falcon

from kuma_core.api.audit import wrote
from kuma_core.api.contract import Route
from kuma_core.api.exchange import answer_json, answer_list
from kuma_core.auth.contract import Right
from kuma_core.plugin.contract import Context
from kuma_core.plugin.quarantine import Quarantine


def routes(context: Context) -> Iterator[Route]:
    """The list, and each of its entries."""
    quarantine = context.ask("quarantine", Quarantine)
    yield Route("/plugins/quarantine", QuarantinedPlugins(quarantine), right=Right.ADMIN)
    yield Route("/plugins/quarantine/{name}", QuarantinedPlugin(quarantine), right=Right.ADMIN)


class QuarantinedPlugins:
    """Lists the plugins in quarantine."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Names, reasons and times, by name."""
        found = self._quarantine.barred()
        answer_list(
            resp,
            [
                {
                    "name": item.plugin,
                    "reason": item.reason,
                    "since": item.since.isoformat(timespec="seconds"),
                }
                for item in found
            ],
        )


class QuarantinedPlugin:
    """Ends the quarantine of one plugin."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Call the plugin again; 404 if it is in no quarantine here."""
        if not self._quarantine.release(name):
            problem = f'the plugin "{name}" is not in quarantine'
            raise falcon.HTTPNotFound(title="Could not end the quarantine", description=problem)
        wrote(req, "released", kind="quarantine", name=name)
        answer_json(resp, {"name": name, "result": "released"})
