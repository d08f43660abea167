"""Whether the instance of each Dataplane serves: it is an endpoint for others from joining until leaving."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.presence.feature import PresenceFeature
    from kuma_core.model import ResourceType
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """What was told last of each Dataplane, which no API shows as a resource."""
    from kuma_core.builtin.presence.kinds import DATAPLANE_PRESENCE

    return [DATAPLANE_PRESENCE]


@hookimpl
def kuma_open(context: Context) -> PresenceFeature:
    """The way to tell, and those who tell for whom nobody else does."""
    from kuma_core.builtin.presence.feature import PresenceFeature

    return PresenceFeature(context)
