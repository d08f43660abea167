"""Transparent proxying: a bound listener for redirected connections, and a second one where there is IPv6."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from socket import IP_TTL, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_HOPS

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterLbPolicy,
)
from envoy_data_plane.envoy.config.core.v3 import (
    BindConfig,
    ExtraSourceAddress,
    SocketAddress,
    SocketOption,
    SocketOptionsOverride,
)

from kuma_core.pass_mark import PASSED_ON_HOPS
from kuma_core.specs.interfaces import ANY_ADDRESS, ANY_ADDRESSES, LOOPBACKS
from kuma_core.xds.contract import CLUSTER, LISTENER, Draft, ProxyView
from kuma_core.xds.drafts import ListenerDraft
from kuma_core.xds.generators.common import CONNECT_TIMEOUT_SECONDS, tcp_listener
from kuma_core.xds.proxy import IPV6

CATCH_ALL = "catch_all"
CATCH_ALL_IPV6 = "catch_all_ipv6"
OUTBOUND_ALONE = "_outbound"
PASS_THROUGH = "pass_through"


@dataclass(frozen=True, slots=True)
class CatchAll:
    """What a listener for redirected connections depends on."""

    name: str
    ip: str
    port: int


def generate_transparent(view: ProxyView) -> Iterable[Draft]:
    """Nothing, unless the Dataplane says where redirected connections arrive."""
    if not view.is_virtual:
        return
    yield Draft(CLUSTER, PASS_THROUGH, PASS_THROUGH, build_pass_through)
    for inputs in _catch_alls(view):
        yield Draft(LISTENER, inputs.name, inputs, build_catch_all)


def _catch_alls(view: ProxyView) -> Iterable[CatchAll]:
    """One for IPv4, and one for IPv6 if kuma-dp says that there is such a thing, or the Dataplane has such an address.

    What is redirected on its way out arrives on loopback, what comes from outside at another address. Where no inbound
    has an address of the family, only the first is taken: the rest would reach the service past the inbound, and with
    it past mTLS and permissions.

    It has a name of its own then. Envoy can't move a listener to an address that overlaps its old one; one that goes
    and one that comes it refuses once, and takes when it is asked again.
    """
    port, networking = view.dataplane.redirect_port, view.dataplane.networking
    inbounds = [":" in inbound.address.ip for inbound in networking.inbound]
    outbounds = [":" in outbound.address.ip for outbound in networking.outbound]
    for name, is_ipv6 in ((CATCH_ALL, False), (CATCH_ALL_IPV6, True)):
        if is_ipv6 and not (view.metadata.get(IPV6) or True in (*inbounds, *outbounds)):
            continue
        if not inbounds or is_ipv6 in inbounds:
            yield CatchAll(name, ANY_ADDRESSES[is_ipv6], port)
        else:
            yield CatchAll(name + OUTBOUND_ALONE, LOOPBACKS[is_ipv6], port)


def build_pass_through(inputs: str) -> Cluster:
    """A cluster whose endpoint is wherever a connection was meant to go.

    Its connections have the mark by which the rules of kuma-init know them: where they are for this machine itself
    they would be redirected again, and come back here for ever.
    """
    return Cluster(
        name=inputs,
        type=ClusterDiscoveryType.ORIGINAL_DST,
        lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
        upstream_bind_config=BindConfig(
            source_address=SocketAddress(address=ANY_ADDRESS, port_value=0),
            socket_options=[_hops(IPPROTO_IP, IP_TTL)],
            extra_source_addresses=[
                ExtraSourceAddress(
                    address=SocketAddress(address=ANY_ADDRESSES[1], port_value=0),
                    socket_options=SocketOptionsOverride([_hops(IPPROTO_IPV6, IPV6_UNICAST_HOPS)]),
                )
            ],
        ),
    )


def _hops(level: int, name: int) -> SocketOption:
    return SocketOption(description="passed on", level=level, name=name, int_value=PASSED_ON_HOPS)


def build_catch_all(inputs: CatchAll) -> ListenerDraft:
    """Hands a connection to the listener of its original destination, or lets it pass if there is none."""
    draft = tcp_listener(inputs.name, inputs.ip, inputs.port, ((PASS_THROUGH, 1),), stat_prefix=PASS_THROUGH)
    draft.message.use_original_dst = True
    return draft
