"""Pieces that several generators build."""

from __future__ import annotations

from envoy_data_plane.envoy.config.core.v3 import Address, SocketAddress
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy

from kuma_core.xds.drafts import FilterDraft, ListenerDraft

CONNECT_TIMEOUT_SECONDS = 5
TCP_PROXY = "envoy.filters.network.tcp_proxy"


def socket_address(ip: str, port: int) -> Address:
    """A TCP address."""
    return Address(socket_address=SocketAddress(address=ip, port_value=port))


def tcp_listener(name: str, ip: str, port: int, cluster: str, stat_prefix: str) -> ListenerDraft:
    """A listener that proxies every TCP connection to one cluster."""
    return ListenerDraft(
        message=Listener(name=name, address=socket_address(ip, port)),
        filters=[FilterDraft(TCP_PROXY, TcpProxy(stat_prefix=stat_prefix, cluster=cluster))],
    )
