"""How the five kinds are called.

kumactl folds case and dashes, so that ``healthchecks`` and ``health-checks`` are one word there; in the URL
they are two, and both are answered.
"""

from __future__ import annotations

from kuma_core.sdk import ResourceType
from kuma_policy_traffic.health_check.spec import HealthCheckSpec
from kuma_policy_traffic.proxy_template.spec import ProxyTemplateSpec
from kuma_policy_traffic.traffic_log.spec import TrafficLogSpec
from kuma_policy_traffic.traffic_permission.spec import TrafficPermissionSpec
from kuma_policy_traffic.traffic_route.spec import TrafficRouteSpec

KINDS = (
    ResourceType(
        name="TrafficPermission",
        path="traffic-permissions",
        path_aliases=("trafficpermissions",),
        singular="traffic-permission",
        spec=TrafficPermissionSpec,
    ),
    ResourceType(
        name="TrafficRoute",
        path="traffic-routes",
        path_aliases=("trafficroutes",),
        singular="traffic-route",
        spec=TrafficRouteSpec,
    ),
    ResourceType(
        name="TrafficLog",
        path="traffic-logs",
        path_aliases=("trafficlogs",),
        singular="traffic-log",
        spec=TrafficLogSpec,
    ),
    ResourceType(
        name="HealthCheck",
        path="health-checks",
        path_aliases=("healthchecks",),
        singular="healthcheck",
        spec=HealthCheckSpec,
    ),
    ResourceType(
        name="ProxyTemplate",
        path="proxytemplates",
        path_aliases=("proxy-templates",),
        singular="proxytemplate",
        spec=ProxyTemplateSpec,
    ),
)
