"""How the proxies of all Dataplanes are doing: tells features of this control plane when a status changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.status.feature import StatusFeature
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_open(context: Context) -> StatusFeature:
    """What was known of each Dataplane, to see what changes."""
    from kuma_core.builtin.status.feature import StatusFeature

    return StatusFeature(context)
