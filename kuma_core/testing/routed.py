"""A listener that takes its routes over ADS, and the routes: the kernel has none, plugins and templates may."""

from __future__ import annotations

from dataclasses import dataclass

from envoy_data_plane.envoy.config.core.v3 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy_data_plane.envoy.config.route.v3 import (
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)

from kuma_core.xds.drafts import FilterDraft, ListenerDraft
from kuma_core.xds.generators.common import listener
from kuma_core.xds.seal import pack


@dataclass(frozen=True, slots=True)
class RoutedListener:
    """What the listener depends on."""

    name: str
    ip: str
    port: int
    routes: str


@dataclass(frozen=True, slots=True)
class Routes:
    """What the routes depend on."""

    name: str
    cluster: str


def build_routed_listener(inputs: RoutedListener) -> ListenerDraft:
    """An HTTP listener that stays as it is, whatever its routes lead to."""
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    manager = HttpConnectionManager(
        stat_prefix="routed",
        rds=Rds(config_source=source, route_config_name=inputs.routes),
        http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))],
    )
    filters = [FilterDraft("envoy.filters.network.http_connection_manager", manager)]
    return ListenerDraft(listener(inputs.name, inputs.ip, inputs.port), filters)


def build_routes(inputs: Routes) -> RouteConfiguration:
    """Routes that send everything to one cluster."""
    everything = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster=inputs.cluster))
    host = VirtualHost(name="all", domains=["*"], routes=[everything])
    return RouteConfiguration(name=inputs.name, virtual_hosts=[host])
