"""What this control plane logs, to look at and to change while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """``/logging``."""
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import Right
    from kuma_core.builtin.logging_levels.routes import LogLevels

    return [Route("/logging", LogLevels(), right=Right.ADMIN)]
