"""The policies that say how traffic flows. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import ResourceType, hookimpl


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Bring TrafficPermission, TrafficRoute, TrafficLog, HealthCheck and ProxyTemplate."""
    from kuma_policy_traffic.kinds import KINDS

    return KINDS
