"""The Mesh's Prometheus listener: Envoy's statistics on a port that everybody reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
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
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpFilter,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from kuma_core.specs.interfaces import ANY_ADDRESS
from kuma_core.specs.metrics import offered_metrics
from kuma_core.xds.contract import CLUSTER, LISTENER, Draft, ProxyView
from kuma_core.xds.drafts import FilterDraft, ListenerDraft
from kuma_core.xds.generators.common import listener, loopback_cluster
from kuma_core.xds.seal import pack

ADMIN_CLUSTER = "kuma:envoy:admin"
METRICS_LISTENER = "kuma:metrics:prometheus"
STATISTICS = "/stats/prometheus"
METHODS = "GET|HEAD"


@dataclass(frozen=True, slots=True)
class MetricsListener:
    """What the listener depends on."""

    port: int
    path: str
    virtual: bool


def generate_metrics(view: ProxyView) -> Iterable[Draft]:
    """A listener and the cluster of Envoy's admin API, if the mesh wants it and nothing else uses the port."""
    wanted = offered_metrics(view.mesh.metrics, view.dataplane.metrics)
    if wanted is None:
        return
    if problem := _problem(view, wanted.port):
        view.warn(f"no metrics are offered: {problem}")
        return
    inputs = MetricsListener(wanted.port, wanted.path, view.is_virtual)
    yield Draft(CLUSTER, ADMIN_CLUSTER, view.admin_port, build_admin_cluster)
    yield Draft(LISTENER, METRICS_LISTENER, inputs, build_metrics_listener)


def _problem(view: ProxyView, port: int) -> str:
    """Why there can be no listener; the wildcard address of the metrics overlaps every one."""
    if not view.admin_port:
        return "Envoy has no admin API to take them from; start kuma-dp with --admin-port"
    if port == view.admin_port:
        return f"{port} is the port of Envoy's admin API; name another one with --admin-port"
    if user := view.dataplane.user_of(port):
        return f"{port} is also a port of {user}; give the Dataplane its own metrics.prometheus.port"
    return ""


def build_admin_cluster(inputs: int) -> Cluster:
    """Envoy's admin API: always on loopback, only its port is the proxy's to tell."""
    return loopback_cluster(ADMIN_CLUSTER, inputs)


def build_metrics_listener(inputs: MetricsListener) -> ListenerDraft:
    """Answers one path with all statistics, and everything else with 404, or with 400 where a path hides slashes.

    Whoever reaches the port speaks to Envoy's admin API, which ends Envoy on demand and shows its configuration, so
    a path is made clean before it is compared: what is compared has to be what the admin API reads.
    """
    manager = HttpConnectionManager(
        codec_type=HttpConnectionManagerCodecType.AUTO,
        stat_prefix=METRICS_LISTENER,
        route_config=RouteConfiguration(virtual_hosts=[_virtual_host(inputs.path)]),
        http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))],
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST,
    )
    message = listener(METRICS_LISTENER, ANY_ADDRESS, inputs.port, virtual=inputs.virtual)
    return ListenerDraft(message, [FilterDraft("envoy.filters.network.http_connection_manager", manager)])


def _virtual_host(path: str) -> VirtualHost:
    """One path as a whole: a prefix that is rewritten takes the rest of the path along, ``/../../quitquitquit`` too."""
    reading = HeaderMatcher(
        name=":method", string_match=StringMatcher(safe_regex=RegexMatcher(regex=METHODS))
    )
    route = Route(
        match=RouteMatch(path=path, headers=[reading]),
        route=RouteAction(cluster=ADMIN_CLUSTER, prefix_rewrite=STATISTICS),
    )
    return VirtualHost(name="envoy_admin", domains=["*"], routes=[route])
