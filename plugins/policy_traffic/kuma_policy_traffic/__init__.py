"""The policies that say how traffic flows. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import Policy, ResourceType, hookimpl


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """Bring TrafficPermission, TrafficRoute, TrafficLog, HealthCheck and ProxyTemplate."""
    from kuma_policy_traffic.kinds import KINDS

    return KINDS


@hookimpl
def kuma_register_policies() -> Iterable[Policy]:
    """Say how the resources of these kinds act on proxies."""
    from kuma_policy_traffic.policies import POLICIES

    return POLICIES
