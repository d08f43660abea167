"""The latest audit lines, for admins: who wrote what, and who was denied what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_routes(context: Context) -> Iterable[Route]:
    """``/audit``."""
    from kuma_core.api.audit_ring import AuditRing
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import Right
    from kuma_core.builtin.audited.routes import AuditLines

    return [Route("/audit", AuditLines(context.ask("audited", AuditRing)), right=Right.ADMIN)]
