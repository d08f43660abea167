"""The Mesh's Prometheus listener: Envoy's statistics on a port that everybody reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
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
    HttpConnectionManagerCodecType,
    HttpFilter,
)

from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.interfaces import ANY_ADDRESS
from kuma_core.specs.metrics import Prometheus
from kuma_core.xds.contract import CLUSTER, LISTENER, Draft, ProxyView
from kuma_core.xds.drafts import FilterDraft, ListenerDraft
from kuma_core.xds.generators.common import listener, loopback_cluster
from kuma_core.xds.proxy import ADMIN_PORT
from kuma_core.xds.seal import pack

ADMIN_CLUSTER = "kuma:envoy:admin"
METRICS_LISTENER = "kuma:metrics:prometheus"
STATISTICS = "/stats/prometheus"


@dataclass(frozen=True, slots=True)
class MetricsListener:
    """What the listener depends on."""

    port: int
    path: str
    virtual: bool


def generate_metrics(view: ProxyView) -> Iterable[Draft]:
    """A listener and the cluster of Envoy's admin API, if the mesh wants it and the port is not taken."""
    wanted = _wanted(view)
    admin_port = _admin_port(view)
    if wanted and admin_port and wanted.port not in {admin_port, *_taken(view.dataplane)}:
        inputs = MetricsListener(wanted.port, wanted.path, view.is_virtual)
        yield Draft(CLUSTER, ADMIN_CLUSTER, admin_port, build_admin_cluster)
        yield Draft(LISTENER, METRICS_LISTENER, inputs, build_metrics_listener)


def _wanted(view: ProxyView) -> Prometheus | None:
    """What the Mesh says, with what the Dataplane says differently; a Dataplane cannot switch it on."""
    mesh, own = view.mesh.metrics, view.dataplane.metrics
    if mesh is None or mesh.prometheus is None:
        return None
    return ((own and own.prometheus) or Prometheus()).or_else(mesh.prometheus.port, mesh.prometheus.path)


def _admin_port(view: ProxyView) -> int:
    """The port of the proxy's admin API, 0 if it has none or tells nonsense."""
    text = view.metadata.get(ADMIN_PORT, "")
    port = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    return port if port <= 65535 else 0


def _taken(dataplane: DataplaneSpec) -> Iterator[int]:
    """Ports that are in use on some address; the metrics' wildcard address overlaps every one."""
    yield dataplane.redirect_port
    for inbound in dataplane.networking.inbound:
        yield inbound.address.port
        yield inbound.address.workload_port
    for outbound in dataplane.networking.outbound:
        yield outbound.address.port


def build_admin_cluster(inputs: int) -> Cluster:
    """Envoy's admin API: always on loopback, only its port is the proxy's to tell."""
    return loopback_cluster(ADMIN_CLUSTER, inputs)


def build_metrics_listener(inputs: MetricsListener) -> ListenerDraft:
    """Answers one path with all statistics, and any other with 404."""
    manager = HttpConnectionManager(
        codec_type=HttpConnectionManagerCodecType.AUTO,
        stat_prefix=METRICS_LISTENER,
        route_config=RouteConfiguration(virtual_hosts=[_virtual_host(inputs.path)]),
        http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))],
    )
    message = listener(METRICS_LISTENER, ANY_ADDRESS, inputs.port, virtual=inputs.virtual)
    return ListenerDraft(message, [FilterDraft("envoy.filters.network.http_connection_manager", manager)])


def _virtual_host(path: str) -> VirtualHost:
    route = Route(
        match=RouteMatch(prefix=path),
        route=RouteAction(cluster=ADMIN_CLUSTER, prefix_rewrite=STATISTICS),
    )
    return VirtualHost(name="envoy_admin", domains=["*"], routes=[route])
