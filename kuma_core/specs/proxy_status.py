"""How a Dataplane's proxies are doing, in a word with its reason: computed here, from an insight, for all who show it.

The first rule that applies counts: no stream ever was, none is open, something is wrong, all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from kuma_core.specs.base import Spec, Timestamp
from kuma_core.specs.insight import InsightSpec, Subscription

LONGEST_REASON = 500
"""Characters of a reason; the insight has Envoy's words in full."""

NEVER_SEEN = "no Envoy of it has opened a stream to a control plane yet; is kuma-dp running?"
GONE = "the last stream to a control plane ended"
MANY = "; "


class ProxyState(Enum):
    """The word; what it means is in ``docs/reference/status.md``."""

    ONLINE = "Online"
    DEGRADED = "Degraded"
    OFFLINE = "Offline"
    NEVER_CONNECTED = "Never connected"


class StatusSpec(Spec):
    """A state as documents have it; ``since`` is missing where nothing ever happened, ``reason`` where all is well."""

    state: str = ""
    since: Timestamp | None = None
    reason: str = ""


def status_of(insight: InsightSpec | None) -> StatusSpec:
    """The status of a Dataplane with this insight (``None``: with none)."""
    streams = insight.subscriptions if insight else ()
    if insight is None or not streams:
        return StatusSpec(state=ProxyState.NEVER_CONNECTED.value, reason=NEVER_SEEN)
    opened = [stream.connect_time for stream in streams if stream.is_open() and stream.connect_time]
    if not opened:
        return _offline(streams)
    if troubles := troubles_of(insight):
        reason, since = MANY.join(troubles), insight.degraded_since or max(opened)
        return StatusSpec(state=ProxyState.DEGRADED.value, since=since, reason=reason[:LONGEST_REASON])
    return StatusSpec(state=ProxyState.ONLINE.value, since=max(opened))


def _offline(streams: Sequence[Subscription]) -> StatusSpec:
    """Gone since the end of the last stream, and for the reason of the control plane if that ended it."""
    ended = [
        (stream.disconnect_time, stream.disconnect_reason) for stream in streams if stream.disconnect_time
    ]
    since, why = max(ended, default=(None, ""))
    reason = f"{GONE}: {why}" if why else GONE
    return StatusSpec(state=ProxyState.OFFLINE.value, since=since, reason=reason[:LONGEST_REASON])


def troubles_of(insight: InsightSpec) -> list[str]:
    """What is wrong with a Dataplane whose proxies are connected, in words."""
    found = []
    if rejected := rejection_of(insight):
        found.append(f"a configuration was rejected: {rejected}")
    if insight.problem:
        found.append(f"an older configuration is kept: {insight.problem}")
    if insight.certificates and insight.certificates.problem:
        found.append(f"a certificate cannot be issued: {insight.certificates.problem}")
    return found


def rejection_of(insight: InsightSpec | None) -> str:
    """Envoy's words for what it refuses still; empty if it takes everything."""
    streams = insight.subscriptions if insight else ()
    words = (stream.status.last_rejection for stream in streams if stream.is_open())
    return MANY.join(filter(None, words))


def is_transition(before: InsightSpec | None, after: InsightSpec | None) -> bool:
    """Whether others are to hear of a new insight: the word or its reason changed. Counters alone are no news."""
    old, new = status_of(before), status_of(after)
    return (old.state, old.reason) != (new.state, new.reason)
