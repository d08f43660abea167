"""The spec of DataplaneInsight, which the control plane writes."""

from __future__ import annotations

from kuma_core.specs.base import Spec, Timestamp, UInt64

INSIGHT = "DataplaneInsight"
"""The kind of what control planes write of a Dataplane's proxies."""

OVERVIEW = "DataplaneOverview"
"""The kind that shows a Dataplane beside its insight; it is never stored."""


class ResponseStats(Spec):
    """How many responses of a type went out, and what Envoy said to them."""

    responses_sent: UInt64 = 0
    responses_acknowledged: UInt64 = 0
    responses_rejected: UInt64 = 0


class SubscriptionStatus(Spec):
    """The counters of one stream; ``last_rejection`` is Envoy's text while the refused content stands."""

    last_update_time: Timestamp | None = None
    last_rejection: str = ""
    total: ResponseStats = ResponseStats()
    cds: ResponseStats = ResponseStats()
    eds: ResponseStats = ResponseStats()
    lds: ResponseStats = ResponseStats()
    rds: ResponseStats = ResponseStats()


class Subscription(Spec):
    """One ADS stream of the proxy; it is open while it has no ``disconnect_time``.

    ``disconnect_reason`` is why the control plane ended it, empty if it did not. ``tells_serving``: somebody beside
    Envoy tells whether the instance serves; of all others this stream tells that it does.
    """

    id: str = ""
    control_plane_instance_id: str = ""
    connect_time: Timestamp | None = None
    disconnect_time: Timestamp | None = None
    disconnect_reason: str = ""
    tells_serving: bool = False
    status: SubscriptionStatus = SubscriptionStatus()

    def is_open(self) -> bool:
        """Whether the stream began and did not end."""
        return bool(self.connect_time) and not self.disconnect_time


class CertificateStatus(Spec):
    """How often no certificate could be issued, and why the last one was not, or lacks a name; empty if all is well.

    ``issued`` and ``ends`` are of the newest one: when it was made, and until when it holds.
    """

    refused: UInt64 = 0
    problem: str = ""
    issued: Timestamp | None = None
    ends: Timestamp | None = None


class InsightSpec(Spec):
    """The streams of a proxy, oldest first, and why it still has an older configuration, if it has.

    ``degraded_since`` is the moment from which on something is wrong while it is connected.
    """

    problem: str = ""
    degraded_since: Timestamp | None = None
    certificates: CertificateStatus | None = None
    subscriptions: tuple[Subscription, ...] = ()

    def is_online(self) -> bool:
        """Whether any stream is open."""
        return any(item.is_open() for item in self.subscriptions)
