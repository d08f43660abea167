"""Whether a Dataplane's instance serves: what control planes keep beside the Dataplane, and the words for it."""

from __future__ import annotations

from enum import Enum

from kuma_core.specs.base import Spec, Timestamp

PRESENCE = "DataplanePresence"
"""The kind of what was told last of whether an instance serves."""

BY_KUMA_DP, BY_PLATFORM, BY_LISTENERS = "kuma-dp", "platform", "listeners"
"""Who told it: its kuma-dp, the platform that runs it (as Kubernetes of a Pod), or its Envoy, which took its listeners.
"""


class PresenceSpec(Spec):
    """What was told last: whether it serves, since when, and by whom. It changes on joining and on leaving alone."""

    serving: bool = False
    since: Timestamp | None = None
    by: str = ""


class Presence(Enum):
    """The word for it; what it means is in ``docs/reference/status.md``."""

    SERVING = "Serving"
    JOINING = "Joining"
    LEAVING = "Leaving"


def presence_of(told: bool | None) -> Presence:
    """The word for what was told last; ``None`` if nothing ever was."""
    if told is None:
        return Presence.JOINING
    return Presence.SERVING if told else Presence.LEAVING
