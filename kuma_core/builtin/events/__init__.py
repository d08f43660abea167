"""What happens in the mesh, told as it happens: ``GET /events`` on a server of its own, for any number of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.events.feature import EventsFeature
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_open(context: Context) -> EventsFeature:
    """The ring of what happened lately, what fills it, and the server that tells it."""
    from kuma_core.builtin.events.feature import EventsFeature

    return EventsFeature(context)
