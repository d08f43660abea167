"""The kind of what was told last of each Dataplane.

It is no part of the Dataplane, which operators apply again and again as it stands, and no part of its insight, of which
watchers hear nothing for a reason: a push need not read it.
"""

from __future__ import annotations

from kuma_core.model import ResourceType
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.presence import PRESENCE, PresenceSpec

DATAPLANE_PRESENCE = ResourceType(
    name=PRESENCE,
    path="dataplane-presences",
    singular="dataplane-presence",
    spec=PresenceSpec,
    read_only=True,
    served=False,
    affects_proxies=False,
    status=True,
    owner=DATAPLANE,
)
