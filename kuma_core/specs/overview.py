"""The spec of DataplaneOverview, which joins a Dataplane, its insight and its status."""

from __future__ import annotations

from kuma_core.specs.base import Spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import InsightSpec
from kuma_core.specs.proxy_status import StatusSpec


class OverviewSpec(Spec):
    """A Dataplane beside its insight, and what that comes to."""

    dataplane: DataplaneSpec = DataplaneSpec()
    dataplane_insight: InsightSpec | None = None
    status: StatusSpec | None = None
