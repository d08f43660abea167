"""The kernel's own kinds of resources (API specification, 1.2)."""

from __future__ import annotations

from kuma_core.model import CellFormat, Column, ResourceType, Scope
from kuma_core.resources.cluster import CLUSTER_KINDS
from kuma_core.resources.manager import DATAPLANE, INSIGHT, MESH
from kuma_core.resources.secrets import SECRET
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import InsightSpec, OverviewSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.secret import SecretSpec

_TAGS = "networking.inbound.*.tags|networking.gateway.tags"

KINDS = (
    *CLUSTER_KINDS,
    ResourceType(
        name=MESH,
        path="meshes",
        singular="mesh",
        spec=MeshSpec,
        scope=Scope.GLOBAL,
        columns=(
            Column("mTLS", "mtls.enabled", CellFormat.ON_OFF, default="off"),
            Column("CA", "mtls.ca?", default="unknown"),
            Column("METRICS", "metrics?", default="off"),
        ),
    ),
    ResourceType(
        name=DATAPLANE,
        path="dataplanes",
        singular="dataplane",
        spec=DataplaneSpec,
        columns=(Column("TAGS", _TAGS, CellFormat.TAGS),),
    ),
    ResourceType(
        name=INSIGHT,
        path="dataplane-insights",
        singular="dataplane-insight",
        spec=InsightSpec,
        affects_proxies=False,
        status=True,
    ),
    ResourceType(
        name="DataplaneOverview",
        path="dataplanes+insights",
        singular="dataplane-overview",
        aliases=("dataplane+insights", "dataplane-overviews"),
        spec=OverviewSpec,
        read_only=True,
        stored=False,
        affects_proxies=False,
        status=True,
        columns=(
            Column("TAGS", "|".join(f"dataplane.{path}" for path in _TAGS.split("|")), CellFormat.TAGS),
            Column("UPDATES", "dataplaneInsight.subscriptions.*.status.total.responsesSent", CellFormat.SUM),
        ),
    ),
    ResourceType(
        name=SECRET,
        path="secrets",
        singular="secret",
        spec=SecretSpec,
        read_only=True,
        served=False,
        affects_proxies=False,
    ),
)
