"""How resources of each kind are matched, and what a match does. Orders leave room for others in between."""

from __future__ import annotations

from typing import Any

from kuma_core.sdk import Ends, Policy, PolicyScope, sorted_tags
from kuma_policy_traffic.health_check import envoy as health_check
from kuma_policy_traffic.proxy_template import envoy as proxy_template
from kuma_policy_traffic.traffic_log import envoy as traffic_log
from kuma_policy_traffic.traffic_permission import envoy as traffic_permission
from kuma_policy_traffic.traffic_route import envoy as traffic_route


def connection_ends(spec: Any) -> Ends:
    """The selectors of a policy for connections."""
    return Ends(
        tuple(sorted_tags(selector.match) for selector in spec.sources),
        tuple(sorted_tags(selector.match) for selector in spec.destinations),
    )


def proxy_ends(spec: Any) -> Ends:
    """The selectors of a policy for proxies."""
    return Ends(tuple(sorted_tags(selector.match) for selector in spec.selectors))


POLICIES = (
    Policy("TrafficRoute", 100, PolicyScope.ROUTE, connection_ends, traffic_route.resolve),
    Policy("TrafficLog", 200, PolicyScope.OUTBOUND, connection_ends, traffic_log.resolve, traffic_log.apply),
    Policy(
        "TrafficPermission",
        250,
        PolicyScope.INBOUND,
        connection_ends,
        traffic_permission.resolve,
        traffic_permission.apply,
        admits=traffic_permission.admits,
    ),
    Policy(
        "HealthCheck", 300, PolicyScope.DESTINATION, connection_ends, health_check.resolve, health_check.apply
    ),
    Policy(
        "ProxyTemplate",
        9000,
        PolicyScope.PROXY,
        proxy_ends,
        proxy_template.resolve,
        proxy_template.apply,
        proxy_template.prepare,
    ),
)
