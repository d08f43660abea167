"""Mesh and Dataplane, and Secret, which no API shows."""

from __future__ import annotations

from kuma_core.model import CellFormat, Column, ResourceType, Scope
from kuma_core.resources.secrets import SECRET
from kuma_core.specs.dataplane import DATAPLANE, DataplaneSpec
from kuma_core.specs.mesh import MESH, MeshSpec
from kuma_core.specs.secret import SecretSpec

_TAGS = "networking.inbound.*.tags|networking.gateway.tags"

KINDS = (
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
        name=SECRET,
        path="secrets",
        singular="secret",
        spec=SecretSpec,
        read_only=True,
        served=False,
        affects_proxies=False,
    ),
)
