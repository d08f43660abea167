"""What Envoy demands of a message as a whole: fields that need each other, or exclude each other.

Its descriptors do not tell these rules; for each of them Envoy was seen to refuse an update. The texts are close to its
own, so that whoever looks for one finds what others said about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kuma_core.sdk.envoy import Message
from kuma_policy_traffic.proxy_template.addresses import is_ip, is_link_local, socket_problem
from kuma_policy_traffic.proxy_template.chain_matches import chain_problems
from kuma_policy_traffic.proxy_template.given import problem
from kuma_policy_traffic.proxy_template.patterns import pattern_problems
from kuma_policy_traffic.proxy_template.route_tables import route_problems, weight_problems
from kuma_policy_traffic.proxy_template.v2_names import HTTP_FILTERS, NETWORK_FILTERS

Found = Iterator[tuple[str, str]]
"""The field at fault, from the message on, and what is wrong; an empty field is the message itself."""

_NETWORK = "envoy.extensions.filters.network"
_HTTP = "envoy.extensions.filters.http"
TERMINAL = frozenset(
    (
        *(f"{_NETWORK}.tcp_proxy.v3.TcpProxy", f"{_NETWORK}.echo.v3.Echo"),
        f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        *(f"{_NETWORK}.direct_response.v3.Config", f"{_NETWORK}.redis_proxy.v3.RedisProxy"),
        *(f"{_NETWORK}.thrift_proxy.v3.ThriftProxy", f"{_NETWORK}.dubbo_proxy.v3.DubboProxy"),
        f"{_HTTP}.router.v3.Router",
    )
)
"""Filters that end a connection or a request: one of them is the last of its chain, and no other place is for one."""
KNOWN = TERMINAL | set(NETWORK_FILTERS.values()) | set(HTTP_FILTERS.values())

ENDPOINTS = "envoy.config.endpoint.v3.ClusterLoadAssignment"
EDS, STATIC, LOGICAL_DNS, ORIGINAL_DST = 3, 0, 2, 4
RING_HASH, CLUSTER_PROVIDED = 2, 6
UDP = 1


def check_whole(name: str, message: Message, path: str) -> None:
    """Raise ``ValueError`` for the first demand that a message of this full name does not meet.

    ``path`` is where the message stands in the document.
    """
    for field, text in _CHECKS[name](message) if name in _CHECKS else ():
        raise problem(f"{path}.{field}".strip("."), text)


def check_endpoints(name: str, message: Message) -> None:
    """Raise ``ValueError`` for an address of endpoints that come by themselves: no name is looked up for them."""
    for field, text in addresses_of(message) if name == ENDPOINTS else ():
        raise problem(field, text)


def _chain_order(field: str, filters: Sequence[Any]) -> Found:
    """A terminal filter is the last one, and the last one is terminal; filters that are not known may be either."""
    types = [item.typed_config.type_url.rpartition("/")[2] if item.typed_config else "" for item in filters]
    for index, type_name in enumerate(types[:-1]):
        if type_name in TERMINAL:
            yield f"{field}[{index}]", "a terminal filter must be the last one of its chain"
    if types and types[-1] in KNOWN - TERMINAL:
        yield f"{field}[{len(types) - 1}]", "a non-terminal filter is the last one of its chain"


def _filter_chain(chain: Any) -> Found:
    return _chain_order("filters", chain.filters)


def _connection_manager(manager: Any) -> Found:
    yield from _chain_order("http_filters", manager.http_filters)


def _listener(listener: Any) -> Found:
    if listener.api_listener or listener.internal_listener:
        return
    if not listener.address:
        yield "address", "an address is necessary"
        return
    socket = listener.address.socket_address
    yield from socket_problem("address.socket_address", socket)
    if socket and is_link_local(socket.address):
        yield "address.socket_address.address", "a link-local address needs a zone, as in fe80::1%eth0"
    if socket and socket.protocol == UDP:
        yield from _udp_listener(listener)
        return
    if not listener.filter_chains and not listener.default_filter_chain:
        yield "filter_chains", "no filter chains are specified"
    yield from chain_problems(listener.filter_chains)


def _udp_listener(listener: Any) -> Found:
    """UDP has no connections, and so no filter chains but those of QUIC."""
    if listener.bind_to_port is False:
        yield "bind_to_port", "false is not supported for a listener of UDP"
    quic = listener.udp_listener_config and listener.udp_listener_config.quic_options
    if listener.filter_chains and not quic:
        yield "filter_chains", "a listener of UDP has none"


def _cluster(cluster: Any) -> Found:
    kind, provided = cluster.type, cluster.lb_policy == CLUSTER_PROVIDED
    if cluster.cluster_type is None:
        if kind == ORIGINAL_DST and not provided:
            yield "lb_policy", "only CLUSTER_PROVIDED is allowed with a cluster of the type ORIGINAL_DST"
        if kind != ORIGINAL_DST and provided:
            yield "lb_policy", "CLUSTER_PROVIDED needs a cluster of the type ORIGINAL_DST"
        yield from _cluster_endpoints(cluster, kind or STATIC)
    if cluster.lb_policy == RING_HASH and cluster.ring_hash_lb_config:
        yield from _ring_sizes(cluster.ring_hash_lb_config)
    if len(cluster.health_checks) > 1:  # the messages of envoy-data-plane have no field for the names
        yield "health_checks[1]", "several health checks need names, which cannot be given here; keep one"


def _cluster_endpoints(cluster: Any, kind: int) -> Found:
    """Where a cluster's endpoints come from, which is told in one way only."""
    source = cluster.eds_cluster_config
    if kind == EDS and not (source and source.eds_config):
        yield "eds_cluster_config", "a cluster of the type EDS needs an EDS config"
    if kind != EDS and source:
        yield "eds_cluster_config", "is for clusters of the type EDS only"
    found = cluster.load_assignment
    if kind == ORIGINAL_DST and found:
        yield "load_assignment", "a cluster of the type ORIGINAL_DST has none"
    if kind == LOGICAL_DNS and _shape(found) != [1]:
        yield "load_assignment", "a cluster of the type LOGICAL_DNS has one locality with one endpoint"
    if kind == STATIC and found:
        yield from ((f"load_assignment.{field}", text) for field, text in addresses_of(found))


def _shape(assignment: Any) -> list[int]:
    """How many endpoints each locality has."""
    return [len(locality.lb_endpoints) for locality in assignment.endpoints] if assignment else []


def addresses_of(assignment: Any) -> Found:
    """What is wrong with the addresses of endpoints that nobody looks up in DNS."""
    for outer, locality in enumerate(assignment.endpoints):
        for inner, item in enumerate(locality.lb_endpoints):
            address = item.endpoint.address if item.endpoint else None
            place = f"endpoints[{outer}].lb_endpoints[{inner}].endpoint.address.socket_address"
            yield from socket_problem(place, address.socket_address if address else None)


def _outlier_detection(detection: Any) -> Found:
    base = detection.base_ejection_time or timedelta(seconds=30)
    if detection.max_ejection_time is not None and detection.max_ejection_time < base:
        yield "max_ejection_time", "cannot be smaller than base_ejection_time"


def _ring_sizes(config: Any) -> Found:
    least = 1024 if config.minimum_ring_size is None else config.minimum_ring_size
    most = 8 * 2**20 if config.maximum_ring_size is None else config.maximum_ring_size
    if least > most:
        text = f"{least} is greater than maximum_ring_size ({most})"
        yield "ring_hash_lb_config.minimum_ring_size", text


def _http_health_check(check: Any) -> Found:
    for field in ("expected_statuses", "retriable_statuses"):
        for index, span in enumerate(getattr(check, field)):
            if not 100 <= span.start < span.end <= 600:
                text = "expected a range of statuses from 100 on and below 600, its end behind its start"
                yield f"{field}[{index}]", text


def _payload(payload: Any) -> Found:
    text = payload.text
    if text and (len(text) % 2 or not set(text) <= set("0123456789abcdefABCDEF")):
        yield "text", "expected bytes in hexadecimal"


def _range(span: Any) -> Found:
    if not is_ip(span.address_prefix):
        yield "address_prefix", f"malformed IP address: {span.address_prefix:.100}"


_CONFIG = "envoy.config"
_CHECKS: Mapping[str, Callable[[Any], Found]] = {
    f"{_CONFIG}.cluster.v3.Cluster": _cluster,
    f"{_CONFIG}.cluster.v3.OutlierDetection": _outlier_detection,
    f"{_CONFIG}.core.v3.CidrRange": _range,
    f"{_CONFIG}.core.v3.HealthCheck.HttpHealthCheck": _http_health_check,
    f"{_CONFIG}.core.v3.HealthCheck.Payload": _payload,
    f"{_CONFIG}.listener.v3.FilterChain": _filter_chain,
    f"{_CONFIG}.listener.v3.Listener": _listener,
    f"{_CONFIG}.route.v3.RouteConfiguration": route_problems,
    f"{_CONFIG}.route.v3.WeightedCluster": weight_problems,
    f"{_NETWORK}.http_connection_manager.v3.HttpConnectionManager": _connection_manager,
    "envoy.type.matcher.v3.RegexMatcher": pattern_problems,
}
"""By the full name of a v3 message."""
