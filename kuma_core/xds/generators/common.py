"""Pieces that several generators build."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    DataSource,
    SocketAddress,
    SubstitutionFormatString,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import (
    TcpProxy,
    TcpProxyWeightedCluster,
    TcpProxyWeightedClusterClusterWeight,
)

from kuma_core.specs.interfaces import LOOPBACK
from kuma_core.xds.drafts import FilterDraft, ListenerDraft
from kuma_core.xds.seal import pack

CONNECT_TIMEOUT_SECONDS = 5
TCP_PROXY = "envoy.filters.network.tcp_proxy"


def access_log(name: str, path: str, text_format: str) -> AccessLog:
    """A log of connections in a file, in a format of Envoy's operators."""
    source = DataSource(inline_string=text_format)
    log = FileAccessLog(path=path, log_format=SubstitutionFormatString(text_format_source=source))
    return AccessLog(name=name, typed_config=pack(log))


def socket_address(ip: str, port: int) -> Address:
    """A TCP address."""
    return Address(socket_address=SocketAddress(address=ip, port_value=port))


Shares = tuple[tuple[str, int], ...]
"""Clusters and their weights, as ``(name, weight)``."""


def tcp_listener(
    name: str, ip: str, port: int, shares: Shares, stat_prefix: str, *, virtual: bool = False
) -> ListenerDraft:
    """A listener that proxies every TCP connection to one of some clusters, chosen by weight.

    Envoy binds no virtual one: ``catch_all`` hands it the connections that were meant for its address.
    """
    proxy = TcpProxy(stat_prefix=stat_prefix)
    if len(shares) == 1:
        proxy.cluster = shares[0][0]
    else:
        weights = [TcpProxyWeightedClusterClusterWeight(name=name, weight=weight) for name, weight in shares]
        proxy.weighted_clusters = TcpProxyWeightedCluster(clusters=weights)
    return ListenerDraft(listener(name, ip, port, virtual=virtual), [FilterDraft(TCP_PROXY, proxy)])


def listener(name: str, ip: str, port: int, *, virtual: bool = False) -> Listener:
    """A listener without filters; a virtual one is not bound.

    Nobody else may listen at its port: with ``SO_REUSEPORT``, which is Envoy's default, two sidecars of one machine
    would both listen there, and the kernel would deal connections out to both.
    """
    return Listener(
        name=name,
        address=socket_address(ip, port),
        bind_to_port=False if virtual else None,
        enable_reuse_port=False,
    )


def loopback_cluster(name: str, port: int) -> Cluster:
    """A static cluster with one endpoint, a port on loopback."""
    endpoint = LbEndpoint(endpoint=Endpoint(address=socket_address(LOOPBACK, port)))
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
    )
