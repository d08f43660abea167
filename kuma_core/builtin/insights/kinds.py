"""What control planes write of a Dataplane's proxies, and how an overview shows it beside the Dataplane."""

from __future__ import annotations

from kuma_core.model import CellFormat, Column, ResourceType
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.insight import INSIGHT, OVERVIEW, InsightSpec
from kuma_core.specs.overview import OverviewSpec
from kuma_core.specs.proxy_status import is_transition

_TAGS = "dataplane.networking.inbound.*.tags|dataplane.networking.gateway.tags"

KINDS = (
    ResourceType(
        name=INSIGHT,
        path="dataplane-insights",
        singular="dataplane-insight",
        spec=InsightSpec,
        affects_proxies=False,
        status=True,
        watched=False,
        worth_telling=is_transition,
        owner=DATAPLANE,
    ),
    ResourceType(
        name=OVERVIEW,
        path="dataplanes+insights",
        singular="dataplane-overview",
        aliases=("dataplane+insights", "dataplane-overviews"),
        spec=OverviewSpec,
        read_only=True,
        stored=False,
        affects_proxies=False,
        status=True,
        columns=(
            Column("TAGS", _TAGS, CellFormat.TAGS),
            Column("UPDATES", "dataplaneInsight.subscriptions.*.status.total.responsesSent", CellFormat.SUM),
        ),
    ),
)
