"""Which plugins are in quarantine, for operators: a list, the way out, and what is counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.plugin.contract import Context, Metric


@hookimpl
def kuma_register_admin_routes(context: Context) -> Iterable[Route]:
    """``/plugins/quarantine`` and what is below."""
    from kuma_core.builtin.quarantine.routes import routes

    return routes(context)


@hookimpl
def kuma_register_metrics(context: Context) -> Iterable[Metric]:
    """The plugins in quarantine, and how many calls of each failed."""
    from kuma_core.builtin.quarantine.metrics import metrics

    return metrics(context)
