"""What proxies would get: the configuration of one, and the difference that a change would make to all.

What is asked here is computed elsewhere: the previewer is handed in.
"""

from __future__ import annotations

from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.errors import InvalidResource, Violation
from kuma_core.model import Resource, ResourceKey
from kuma_core.xds.contract import Previewer

DRY_RUN = "dry-run"
DRY_RUN_XDS = "xds"


class ProxyConfiguration:
    """``/meshes/{mesh}/dataplanes/{name}/xds``."""

    def __init__(self, previewer: Previewer) -> None:
        self._previewer = previewer

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str) -> None:
        """What the control plane would send now, what was acknowledged, and what was rejected, why."""
        begin(req, "Could not inspect a dataplane")
        answer_json(resp, self._previewer.inspect(mesh, name))


def wants_dry_run(req: falcon.Request) -> bool:
    """Whether a write is only to be tried; raises ``InvalidResource`` for a way of trying that nobody knows."""
    value = req.get_param(DRY_RUN)
    if value is None:
        return False
    if value != DRY_RUN_XDS:
        message = f'expected "{DRY_RUN_XDS}", got "{value:.40}"'
        raise InvalidResource([Violation(DRY_RUN, message)], details="The request is not valid")
    return True


def answer_dry_run(
    resp: falcon.Response,
    previewer: Previewer,
    key: ResourceKey,
    resource: Resource | None,
    warnings: list[str],
) -> None:
    """Tell which proxies a write (``None``: a deletion) would change, and how. Nothing is stored."""
    answer: dict[str, Any] = {"proxies": previewer.dry_run(key, resource), "warnings": warnings}
    answer_json(resp, answer)
