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


class PresenceState(Enum):
    """The word for it; what it means is in ``docs/reference/status.md``."""

    SERVING = "Serving"
    JOINING = "Joining"
    LEAVING = "Leaving"


_WHY = {
    (PresenceState.JOINING, ""): "nobody told yet that it serves",
    (PresenceState.LEAVING, BY_PLATFORM): "its Pod is not ready, or it is being deleted",
    (PresenceState.LEAVING, BY_KUMA_DP): "its kuma-dp told that it leaves",
}
NOT_CALLED = "so others do not call it"


class PresenceStatus(Spec):
    """A word as documents have it: ``since`` when and ``by`` whom it was told, and the ``reason`` of those who are no
    endpoints."""

    state: str = ""
    since: Timestamp | None = None
    by: str = ""
    reason: str = ""


def status_of_presence(told: PresenceSpec | None, serves: bool) -> PresenceStatus:
    """The word for what was told last, ``None`` if nothing ever was, with its reason."""
    absent = PresenceState.JOINING if told is None else PresenceState.LEAVING
    state = PresenceState.SERVING if serves else absent
    by, since = (told.by, told.since) if told else ("", None)
    reason = "" if serves else f"{_WHY.get((state, by), 'that was told of it')}, {NOT_CALLED}"
    return PresenceStatus(state=state.value, since=since, by=by, reason=reason)
