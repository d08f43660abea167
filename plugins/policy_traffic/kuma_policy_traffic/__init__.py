"""The policies that say how traffic flows. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Policy, Resource, Resources, ResourceType, Violation


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


@hookimpl
def kuma_admit(
    resource: Resource | None, previous: Resource | None, resources: Resources
) -> Iterable[Violation]:
    """Warn of a mesh that is encrypted with nothing permitted in it."""
    from kuma_policy_traffic.traffic_permission.admission import violations

    return violations(resource, previous, resources)
