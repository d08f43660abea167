"""Hypothesis strategies for the resources of a ProxyTemplate: clusters, listeners, routes and endpoints of Envoy, right
and wrong, with the values that tell one rule of Envoy from another.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import strategies as st

from ..conformance.strategies import lists, record, texts
from .test_random_meshes import free_ports

V3 = "type.googleapis.com/envoy.config"
EXTENSIONS = "type.googleapis.com/envoy.extensions"
Document = dict[str, Any]


def mostly(usual: list[Any], odd: list[Any]) -> st.SearchStrategy[Any]:
    """A usual value, or now and then an odd one: with odd ones everywhere nothing would be accepted."""
    return st.integers(0, 11).flatmap(lambda dice: st.sampled_from(usual if dice else odd))


def short(items: st.SearchStrategy[Any], minimum: int = 0) -> st.SearchStrategy[list[Any]]:
    """A list of few items, as each of many may be wrong."""
    return st.lists(items, min_size=minimum, max_size=2)


ADDRESSES = (
    ["127.0.0.1", "127.0.0.2", "::1"],
    ["10.0.0.256", "localhost", "a host", "", "[::1]", "0.0.0.0", "fe80::1"],
)
fresh_ports = itertools.cycle(free_ports())
"""No drawn ones: Envoy lets go of a listener's port a while after the listener."""
names = mostly(["a", "b", "caf\u00e9"], ["*", " ", "x" * 300, "\n%{}"])
durations = mostly(
    ["0.001s", "1s", "2.5s", "8760h"], ["0s", "0.000001s", "9223372035s", "9223372036s", "-1s"]
)
numbers = mostly([1, 2, 100], [0, 2**31, 2**32 - 1])
ports = mostly([1, 80, 65535], [0, 65536])


def addressed(port: st.SearchStrategy[int]) -> st.SearchStrategy[Document]:
    """An address of any kind."""
    socket = record({"address": mostly(*ADDRESSES), "port_value": port}, protocol=mostly(["TCP"], ["UDP"]))
    pipe = st.builds(lambda: {"path": f"@kuma-test-{next(fresh_ports)}"})
    return st.one_of(
        *[socket.map(lambda found: {"socket_address": found})] * 5, pipe.map(lambda found: {"pipe": found})
    )


endpoints = record(
    {"endpoint": record({"address": addressed(ports)}, hostname=texts)},
    load_balancing_weight=numbers,
    health_status=st.sampled_from(["HEALTHY", "UNHEALTHY", "DRAINING"]),
)
localities = record(
    {"lb_endpoints": lists(endpoints)},
    priority=mostly([0], [1, 2, 128, 129]),
    load_balancing_weight=numbers,
    locality=record(zone=st.sampled_from(["a", "b"])),
)
assignments = record(
    {"cluster_name": names, "endpoints": lists(localities)},
    policy=record(overprovisioning_factor=numbers, endpoint_stale_after=durations),
)
SOURCE = {"ads": {}, "resource_api_version": "V3"}
health_checks = st.one_of(
    record(
        {
            "timeout": durations,
            "interval": durations,
            "unhealthy_threshold": numbers,
            "healthy_threshold": numbers,
            "tcp_health_check": record(send=record({"text": mostly(["00", "ff00"], ["0", "xx"])})),
        },
        interval_jitter=durations,
    ),
    record(
        {
            "timeout": durations,
            "interval": durations,
            "unhealthy_threshold": numbers,
            "healthy_threshold": numbers,
            "http_health_check": record(
                {"path": texts},
                host=texts,
                expected_statuses=lists(
                    record({"start": mostly([100, 200], [0, 99]), "end": mostly([300, 600], [200, 601])})
                ),
            ),
        }
    ),
)
cluster_options = record(
    {
        "@type": st.just(f"{V3}.cluster.v3.Cluster"),
        "name": names,
        "connect_timeout": durations,
    },
    lb_policy=st.sampled_from(["ROUND_ROBIN", "RING_HASH", "MAGLEV", "RANDOM", "LEAST_REQUEST"]),
    health_checks=st.lists(health_checks, max_size=1),
    outlier_detection=record(
        interval=durations, base_ejection_time=durations, max_ejection_time=durations, consecutive_5xx=numbers
    ),
    circuit_breakers=record(
        thresholds=lists(record(max_connections=numbers, priority=st.sampled_from(["DEFAULT", "HIGH"])))
    ),
    dns_refresh_rate=durations,
    dns_lookup_family=st.sampled_from(["AUTO", "V4_ONLY", "V6_ONLY"]),
    cleanup_interval=durations,
    ring_hash_lb_config=record(minimum_ring_size=numbers, maximum_ring_size=numbers),
    per_connection_buffer_limit_bytes=numbers,
)
eds = record({"eds_config": st.just(SOURCE)}, service_name=names)
one_endpoint = endpoints.map(lambda found: {"cluster_name": "a", "endpoints": [{"lb_endpoints": [found]}]})
SOURCES: dict[str, Document] = {
    "STATIC": {"load_assignment": assignments},
    "STRICT_DNS": {"load_assignment": assignments},
    "LOGICAL_DNS": {"load_assignment": one_endpoint},
    "EDS": {"eds_cluster_config": eds},
    "ORIGINAL_DST": {"lb_policy": st.just("CLUSTER_PROVIDED")},
}
"""What a cluster of a type has, and those of others have not."""
odd_sources = record(
    load_assignment=assignments,
    eds_cluster_config=eds,
    lb_policy=st.just("CLUSTER_PROVIDED"),
    health_checks=st.lists(health_checks, min_size=2, max_size=2),
)


@st.composite
def clusters(draw: st.DrawFn) -> Document:
    """A cluster of any type, mostly with what such a cluster needs."""
    kind = draw(st.sampled_from(list(SOURCES)))
    source = draw(record(SOURCES[kind])) if draw(mostly([True], [False])) else draw(odd_sources)
    return {**draw(cluster_options), "type": kind, **source}


string_matches = mostly(
    [{"exact": "a"}, {"prefix": "a"}, {"safe_regex": {"regex": "a+"}}], [{"safe_regex": {"regex": "(a"}}]
)
weighted = record({"name": names, "weight": numbers})
actions = st.one_of(
    record({"cluster": names}, timeout=durations, prefix_rewrite=texts).map(lambda found: {"route": found}),
    record({"weighted_clusters": record({"clusters": lists(weighted, 1)})}).map(
        lambda found: {"route": found}
    ),
    record(host_redirect=texts, path_redirect=texts).map(lambda found: {"redirect": found}),
    record({"status": mostly([200, 503], [0, 99, 100, 199, 599, 600])}).map(
        lambda found: {"direct_response": found}
    ),
)
matches = st.one_of(
    texts.map(lambda text: {"prefix": text}),
    texts.map(lambda text: {"path": text}),
    mostly(["a+"], ["(a", "a{1000}"]).map(lambda text: {"safe_regex": {"regex": text}}),
    record(
        {"prefix": st.just("/"), "headers": lists(record({"name": texts, "string_match": string_matches}))}
    ),
)
routes = st.builds(lambda match, action: {"match": match, **action}, matches, actions)
DOMAINS = mostly(
    ["a", "b", "*.a", "a.*", "*"], ["*", "a", "A", "b", "*.a", "*-a", "a.*", "a-*", "a*b", "*a*", "a\n", ""]
)
hosts = record({"name": names, "domains": short(DOMAINS, 1), "routes": short(routes)})
route_configurations = record(
    {"name": names, "virtual_hosts": short(hosts), "validate_clusters": st.just(False)}
)
"""Whether the clusters that routes name are there is told by what else a proxy has, not by the document."""

shares = record({"clusters": lists(record({"name": names, "weight": numbers}), 1)})
tcp_proxies = st.builds(
    lambda proxy, choice: {**proxy, **choice},
    record(
        {"@type": st.just(f"{EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy"), "stat_prefix": names},
        idle_timeout=durations,
        max_connect_attempts=numbers,
    ),
    st.one_of(record({"cluster": names}), record({"weighted_clusters": shares})),
)
HTTP = {
    name: {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{EXTENSIONS}.filters.http.{name}.v3.{message}"},
    }
    for name, message in (("router", "Router"), ("cors", "Cors"))
}
orders = mostly([["cors", "router"], ["router"]], [["router", "cors"], ["cors"], []])
connection_managers = st.builds(
    lambda manager, choice: {**manager, **choice},
    record(
        {
            "@type": st.just(
                f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
            ),
            "stat_prefix": names,
            "http_filters": orders.map(lambda order: [HTTP[name] for name in order]),
        },
        request_timeout=durations,
        stream_idle_timeout=durations,
        delayed_close_timeout=durations,
        max_request_headers_kb=numbers,
        server_name=texts,
    ),
    st.one_of(
        record({"route_config": route_configurations}),
        record({"rds": record({"route_config_name": names, "config_source": st.just(SOURCE)})}),
    ),
)
rules = record({"@type": st.just(f"{EXTENSIONS}.filters.network.rbac.v3.RBAC"), "stat_prefix": names})
echo = st.just({"@type": f"{EXTENSIONS}.filters.network.echo.v3.Echo"})
direct = st.just({"@type": f"{EXTENSIONS}.filters.network.direct_response.v3.Config"})
last = st.one_of(tcp_proxies, connection_managers, echo, direct)
filters = st.one_of(
    *[st.tuples(last), st.tuples(rules, last)] * 4,
    st.tuples(rules),
    st.tuples(last, rules),
    st.tuples(last, last),
    st.tuples(),
).map(lambda found: [{"name": f"filter-{n}", "typed_config": config} for n, config in enumerate(found)])
ranges = record({"address_prefix": mostly(*ADDRESSES)}, prefix_len=mostly([0, 8, 32], [33, 128, 129]))
chain_matches = record(
    destination_port=mostly([1, 80, 65535], [0, 65536]),
    server_names=short(mostly(["a", "b", "*.a"], ["A", "*", "a*", "*a"])),
    transport_protocol=st.sampled_from(["tls", "raw_buffer", "x"]),
    application_protocols=short(st.sampled_from(["h2", "http/1.1"])),
    source_type=st.sampled_from(["ANY", "EXTERNAL", "SAME_IP_OR_LOOPBACK"]),
    prefix_ranges=short(ranges),
    source_ports=short(mostly([1, 65535], [0, 65536])),
)
chains = record({"filters": filters}, filter_chain_match=chain_matches, name=names)
LISTENER_FILTERS = {
    "tls_inspector": "TlsInspector",
    "http_inspector": "HttpInspector",
    "original_dst": "OriginalDst",
    "proxy_protocol": "ProxyProtocol",
}
listener_filters = st.sampled_from(list(LISTENER_FILTERS)).map(
    lambda name: {
        "name": f"envoy.filters.listener.{name}",
        "typed_config": {"@type": f"{EXTENSIONS}.filters.listener.{name}.v3.{LISTENER_FILTERS[name]}"},
    }
)
listener_ports = mostly([1], [65536]).map(lambda port: next(fresh_ports) if port == 1 else port)
listener_parts = record(
    {
        "@type": st.just(f"{V3}.listener.v3.Listener"),
        "name": names,
        "address": addressed(listener_ports),
        "filter_chains": short(chains, 1),
    },
    default_filter_chain=chains,
    listener_filters=lists(listener_filters),
    listener_filters_timeout=durations,
    bind_to_port=st.booleans(),
    use_original_dst=st.booleans(),
    per_connection_buffer_limit_bytes=numbers,
    traffic_direction=st.sampled_from(["INBOUND", "OUTBOUND"]),
)
left_out = mostly(["nothing"], ["address", "filter_chains"])
listeners = st.builds(
    lambda found, out: {key: value for key, value in found.items() if key != out}, listener_parts, left_out
)
kinds = st.one_of(
    clusters(),
    listeners,
    route_configurations.map(lambda found: {"@type": f"{V3}.route.v3.RouteConfiguration", **found}),
    assignments.map(lambda found: {"@type": f"{V3}.endpoint.v3.ClusterLoadAssignment", **found}),
)
raw_resources = short(
    kinds.map(lambda found: {"name": "r", "version": "1", "resource": json.dumps(found)}), 1
)
