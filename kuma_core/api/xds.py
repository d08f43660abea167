"""What would be: the configuration of a proxy, the difference that a change would make, whether one is valid.

What is asked here is computed elsewhere: the previewer is handed in.
"""

from __future__ import annotations

import falcon

from kuma_core.api.exchange import answer_json, answer_list, begin
from kuma_core.errors import InvalidResource, Violation
from kuma_core.model import Resource, ResourceKey
from kuma_core.xds.contract import Previewer

DRY_RUN = "dry-run"
XDS, VALIDATE = "xds", "validate"


class ProxyConfiguration:
    """``/meshes/{mesh}/dataplanes/{name}/xds``."""

    def __init__(self, previewer: Previewer) -> None:
        self._previewer = previewer

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str, name: str) -> None:
        """What the control plane would send now, what was acknowledged, and what was rejected, why."""
        begin(req, "Could not inspect a dataplane")
        answer_json(resp, self._previewer.inspect(mesh, name))


def dry_run_of(req: falcon.Request) -> str:
    """How a write is only to be tried: ``XDS``, ``VALIDATE``, or ``""`` if it is meant.

    Raises ``InvalidResource`` for a way of trying that nobody knows.
    """
    value = req.get_param(DRY_RUN)
    if value in (None, XDS, VALIDATE):
        return value or ""
    message = f'expected "{XDS}" or "{VALIDATE}", got "{value:.40}"'
    raise InvalidResource([Violation(DRY_RUN, message)], details="The request is not valid")


def answer_dry_run(
    resp: falcon.Response,
    previewer: Previewer,
    key: ResourceKey,
    resource: Resource | None,
    warnings: list[str],
) -> None:
    """Tell which proxies a write (``None``: a deletion) would change, how, and what was not looked at.

    Nothing is stored.
    """
    found = previewer.dry_run(key, resource)
    told = {"dataplanes": found.examined, "of": found.there_are, "detailed": found.detailed}
    answer_list(resp, found.proxies, [("warnings", warnings), ("examined", told)], "proxies")
