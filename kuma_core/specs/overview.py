"""The spec of DataplaneOverview, which joins a Dataplane, its insight, its status and its presence."""

from __future__ import annotations

from kuma_core.specs.base import Spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import InsightSpec
from kuma_core.specs.presence import PresenceStatus
from kuma_core.specs.proxy_status import StatusSpec


class OverviewSpec(Spec):
    """A Dataplane beside its insight, and what that comes to, with whether it is an endpoint for others."""

    dataplane: DataplaneSpec = DataplaneSpec()
    dataplane_insight: InsightSpec | None = None
    status: StatusSpec | None = None
    presence: PresenceStatus | None = None
