"""``GET /audit``: what this control plane remembers; the log has all."""

from __future__ import annotations

import falcon

from kuma_core.api.audit_ring import AuditRing
from kuma_core.api.exchange import answer_list, begin


class AuditLines:
    """The lines, the newest first."""

    def __init__(self, ring: AuditRing) -> None:
        self._ring = ring

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """All that is kept."""
        begin(req, "Could not list the audit")
        answer_list(resp, self._ring.lines())
