"""The policies that say how traffic flows. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Context, Policy, ResourceType, Setting
    from kuma_policy_traffic.feature import Admission


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
def kuma_register_config() -> Iterable[Setting]:
    """What reaches the machines of proxies."""
    from kuma_policy_traffic.settings import SETTINGS

    return SETTINGS


@hookimpl
def kuma_open(context: Context) -> Admission:
    """What speaks against a write depends on the configuration."""
    from kuma_policy_traffic.feature import Admission

    return Admission(context.config)
