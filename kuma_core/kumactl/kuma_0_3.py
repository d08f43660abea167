"""What kumactl knows of control planes of Kuma 0.3, which cannot tell it themselves.

They have no ``GET /kinds``, and ignore a query that they do not know: a dry run would be a write.
"""

from __future__ import annotations

from typing import Any

UNSTAMPED = "unknown"
"""The version that Kuma 0.3 tells when it was built from a checkout."""


def is_version(version: object) -> bool:
    """Whether a control plane that says that it has this version is one of Kuma 0.3."""
    return isinstance(version, str) and (version.startswith("0.3.") or version == UNSTAMPED)


def _kind(name: str, path: str, singular: str, *columns: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"name": name, "path": path, "singular": singular, "columns": [*columns], "scope": "mesh", **more}


def _column(header: str, path: str, form: str = "text", default: str = "") -> dict[str, str]:
    return {"header": header, "path": path, "format": form, "default": default}


_TAGS = "networking.inbound.*.tags|networking.gateway.tags"
_TAGS_OF_OVERVIEW = "dataplane.networking.inbound.*.tags|dataplane.networking.gateway.tags"
_UPDATES = "dataplaneInsight.subscriptions.*.status.total.responsesSent"

KINDS = (
    _kind(
        "Mesh",
        "meshes",
        "mesh",
        _column("mTLS", "mtls.enabled", "onOff", "off"),
        _column("CA", "mtls.ca?", default="unknown"),
        _column("METRICS", "metrics?", default="off"),
        scope="global",
    ),
    _kind("Dataplane", "dataplanes", "dataplane", _column("TAGS", _TAGS, "tags")),
    _kind("DataplaneInsight", "dataplane-insights", "dataplane-insight", status=True),
    _kind(
        "DataplaneOverview",
        "dataplanes+insights",
        "dataplane-overview",
        _column("TAGS", _TAGS_OF_OVERVIEW, "tags"),
        _column("UPDATES", _UPDATES, "sum"),
        aliases=["dataplane+insights", "dataplane-overviews"],
        readOnly=True,
        status=True,
    ),
    _kind("HealthCheck", "health-checks", "healthcheck"),
    _kind("ProxyTemplate", "proxytemplates", "proxytemplate"),
    _kind("TrafficLog", "traffic-logs", "traffic-log"),
    _kind("TrafficPermission", "traffic-permissions", "traffic-permission"),
    _kind("TrafficRoute", "traffic-routes", "traffic-route"),
)
"""The kinds that every control plane of Kuma 0.3 has, as ``GET /kinds`` would tell them."""
