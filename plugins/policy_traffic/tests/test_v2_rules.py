"""Every rule for a field that Envoy's v3 API does not have any more (data plane, 3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_policy_traffic.proxy_template import v2_names
from kuma_policy_traffic.proxy_template.convert import read_resource
from kuma_policy_traffic.proxy_template.messages import NEXT, PREFIX, find_type
from kuma_policy_traffic.proxy_template.v2_rules import RULES
from kuma_policy_traffic.proxy_template.v2_types import PREVIOUS

from .support import V2_CLUSTER, V2_LISTENER, converted

ROUTES = f"'@type': {PREFIX}envoy.api.v2.RouteConfiguration\nname: r\n"
MANAGED = "stat_prefix: s, route_config: {}"
CHECK = "timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1"
LISTENER_FILTERS = f"{PREFIX}envoy.extensions.filters.listener"
NAMED = f"{V2_CLUSTER}name: c\n"


def cluster(body: str) -> dict[str, Any]:
    """A cluster, without what it must have and the test does not speak of."""
    document = converted(NAMED + body)
    assert document.pop("name") == "c"
    for check in document.get("healthChecks", ()):
        document["healthChecks"] = [{"httpHealthCheck": check["httpHealthCheck"]}]
    return document


def virtual_host(body: str) -> dict[str, Any]:
    document = converted(f"{ROUTES}virtual_hosts: {{name: v, domains: '*', {body}}}\n")
    host: dict[str, Any] = document["virtualHosts"][0]
    return {key: value for key, value in host.items() if key not in ("name", "domains")}


def route(body: str) -> dict[str, Any]:
    """A route, without what it must have and the test does not speak of."""
    rest = "" if "route:" in body else ", route: {cluster: c}"
    rest += "" if "match:" in body else ", match: {path: /rest}"
    found: dict[str, Any] = virtual_host(f"routes: {{{body}{rest}}}")["routes"][0]
    for key in ("route", "match"):
        if key not in body:
            del found[key]
    return found


def chain(body: str) -> dict[str, Any]:
    found: dict[str, Any] = converted(f"{V2_LISTENER}name: l\nfilter_chains: {{{body}}}\n")["filterChains"][0]
    return found


def manager(body: str) -> dict[str, Any]:
    config: dict[str, Any] = chain(
        f"filters: {{name: envoy.http_connection_manager, config: {{{MANAGED}, {body}}}}}"
    )["filters"][0]["typedConfig"]
    return {key: value for key, value in config.items() if key not in ("@type", "statPrefix", "routeConfig")}


def validation(body: str) -> dict[str, Any]:
    socket = cluster(f"tls_context: {{common_tls_context: {{validation_context: {{{body}}}}}}}\n")
    found: dict[str, Any] = socket["transportSocket"]["typedConfig"]["commonTlsContext"]["validationContext"]
    return found


def refused(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        read_resource(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "hosts: [{pipe: {path: /a}}, {pipe: {path: /b}}]",
            {
                "loadAssignment": {
                    "clusterName": "c",
                    "endpoints": [
                        {
                            "lbEndpoints": [
                                {"endpoint": {"address": {"pipe": {"path": p}}}} for p in ("/a", "/b")
                            ]
                        }
                    ],
                }
            },
        ),
        ("hosts: []\nload_assignment: {cluster_name: x}", {"loadAssignment": {"clusterName": "x"}}),
        ("lb_policy: ORIGINAL_DST_LB", {"lbPolicy": "CLUSTER_PROVIDED"}),
        ("lbPolicy: 4", {"lbPolicy": "CLUSTER_PROVIDED"}),
        ("drain_connections_on_host_removal: true", {"ignoreHealthOnHostRemoval": True}),
        ("drainConnectionsOnHostRemoval: true", {"ignoreHealthOnHostRemoval": True}),
        (
            f"health_checks: {{{CHECK}, http_health_check: {{path: /, use_http2: true, service_name: web}}}}",
            {
                "healthChecks": [
                    {
                        "httpHealthCheck": {
                            "path": "/",
                            "codecClientType": "HTTP2",
                            "serviceNameMatcher": {"prefix": "web"},
                        }
                    }
                ]
            },
        ),
        (
            f"health_checks: {{{CHECK}, http_health_check: {{path: /, use_http2: false}}}}",
            {"healthChecks": [{"httpHealthCheck": {"path": "/"}}]},
        ),
        (
            "load_assignment: {cluster_name: c, policy: {disable_overprovisioning: true}}",
            {"loadAssignment": {"clusterName": "c", "policy": {}}},
        ),
        (
            "transport_socket: {name: envoy.transport_sockets.raw_buffer}",
            {
                "transportSocket": {
                    "name": "envoy.transport_sockets.raw_buffer",
                    "typedConfig": {
                        "@type": f"{PREFIX}envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
                    },
                }
            },
        ),
    ],
)
def test_clusters(given: str, expected: dict[str, Any]) -> None:
    assert cluster(given) == expected


def test_an_untyped_tls_socket_is_of_the_side_it_stands_on() -> None:
    socket = "transport_socket: {name: envoy.transport_sockets.tls, config: {common_tls_context: {}}}"
    ends = {
        "Upstream": cluster(socket)["transportSocket"],
        "Downstream": chain(socket)["transportSocket"],
    }
    for end, found in ends.items():
        assert found["typedConfig"]["@type"].endswith(f".tls.v3.{end}TlsContext")


def test_the_tls_context_of_a_filter_chain_is_the_downstream_one() -> None:
    socket = chain("tls_context: {require_client_certificate: true}")["transportSocket"]
    assert socket["typedConfig"] == {
        "@type": f"{PREFIX}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "requireClientCertificate": True,
    }


def test_alternative_names_of_every_kind() -> None:
    matchers = validation("verify_subject_alt_name: [a, b]")["matchTypedSubjectAltNames"]
    assert matchers == [
        {"sanType": kind, "matcher": {"exact": name}}
        for name in ("a", "b")
        for kind in ("DNS", "URI", "IP_ADDRESS", "EMAIL")
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("match: {regex: 'a.*'}", {"match": {"safeRegex": {"regex": "a.*"}}}),
        (
            "match: {prefix: /, headers: {name: h, regex_match: 'a.*'}}",
            {
                "match": {
                    "prefix": "/",
                    "headers": [{"name": "h", "stringMatch": {"safeRegex": {"regex": "a.*"}}}],
                }
            },
        ),
        (
            "match: {prefix: /, query_parameters: [{name: a, value: x}, {name: b, value: y+, regex: true}, "
            "{name: c, regex: false}, {name: d}]}",
            {
                "match": {
                    "prefix": "/",
                    "queryParameters": [
                        {"name": "a", "stringMatch": {"exact": "x"}},
                        {"name": "b", "stringMatch": {"safeRegex": {"regex": "y+"}}},
                        {"name": "c", "presentMatch": True},
                        {"name": "d"},
                    ],
                }
            },
        ),
        (
            "route: {cluster: c, host_rewrite: h, request_mirror_policy: {cluster: m, runtime_key: k}}",
            {
                "route": {
                    "cluster": "c",
                    "hostRewriteLiteral": "h",
                    "requestMirrorPolicies": [
                        {
                            "cluster": "m",
                            "runtimeFraction": {
                                "defaultValue": {"denominator": "TEN_THOUSAND"},
                                "runtimeKey": "k",
                            },
                        }
                    ],
                }
            },
        ),
        (
            "route: {cluster: c, auto_host_rewrite_header: x, "
            "request_mirror_policy: {cluster: m, runtime_key: k, "
            "runtime_fraction: {runtime_key: f, default_value: {}}}}",
            {
                "route": {
                    "cluster": "c",
                    "hostRewriteHeader": "x",
                    "requestMirrorPolicies": [
                        {"cluster": "m", "runtimeFraction": {"runtimeKey": "f", "defaultValue": {}}}
                    ],
                }
            },
        ),
        (
            "route: {cluster: c, cors: {allow_origin: a, allow_origin_regex: ['b.*'], enabled: true}}",
            {
                "route": {
                    "cluster": "c",
                    "cors": {
                        "allowOriginStringMatch": [{"exact": "a"}, {"safeRegex": {"regex": "b.*"}}],
                        "filterEnabled": {"defaultValue": {"numerator": 100}},
                    },
                }
            },
        ),
        (
            "route: {cluster: c, cors: {enabled: false}}",
            {"route": {"cluster": "c", "cors": {"filterEnabled": {"defaultValue": {}}}}},
        ),
    ],
)
def test_routes(given: str, expected: dict[str, Any]) -> None:
    assert route(given) == expected


def test_what_a_route_says_about_a_filter() -> None:
    fault = {"@type": f"{PREFIX}envoy.extensions.filters.http.fault.v3.HTTPFault"}
    delay = {**fault, "delay": {"fixedDelay": "1s"}}
    config = "per_filter_config: {envoy.fault: {delay: {type: FIXED, fixed_delay: 1s}}}"
    weighted = "route: {weighted_clusters: {clusters: {name: c, " + config + "}}}"
    assert virtual_host(config) == {"typedPerFilterConfig": {"envoy.fault": delay}}
    assert route(config) == {"typedPerFilterConfig": {"envoy.fault": delay}}
    assert route(weighted)["route"]["weightedClusters"]["clusters"] == [
        {"name": "c", "typedPerFilterConfig": {"envoy.fault": delay}}
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("idle_timeout: 5s", {"commonHttpProtocolOptions": {"idleTimeout": "5s"}}),
        (
            "idle_timeout: 5s, common_http_protocol_options: {max_headers_count: 7}",
            {"commonHttpProtocolOptions": {"idleTimeout": "5s", "maxHeadersCount": 7}},
        ),
        (
            "idle_timeout: 5s, commonHttpProtocolOptions: {idleTimeout: 9s}",
            {"commonHttpProtocolOptions": {"idleTimeout": "9s"}},
        ),
        ("tracing: {operation_name: EGRESS}", {"tracing": {}}),
        (
            "tracing: {request_headers_for_tags: [x], custom_tags: {tag: t, literal: {value: v}}}",
            {
                "tracing": {
                    "customTags": [
                        {"tag": "t", "literal": {"value": "v"}},
                        {"tag": "x", "requestHeader": {"name": "x"}},
                    ]
                }
            },
        ),
    ],
)
def test_http_connection_managers(given: str, expected: dict[str, Any]) -> None:
    assert manager(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("deprecated_v1: {bind_to_port: false}", {"bindToPort": False}),
        ("deprecatedV1: {bindToPort: true}", {"bindToPort": True}),
        ("deprecated_v1: {}", {}),
        (
            "filter_chains: {filter_chain_match: {source_type: LOCAL}}",
            {"filterChains": [{"filterChainMatch": {"sourceType": "SAME_IP_OR_LOOPBACK"}}]},
        ),
        (
            "listener_filters: {name: envoy.listener.tls_inspector}",
            {
                "listenerFilters": [
                    {
                        "name": "envoy.listener.tls_inspector",
                        "typedConfig": {"@type": f"{LISTENER_FILTERS}.tls_inspector.v3.TlsInspector"},
                    }
                ]
            },
        ),
    ],
)
def test_listeners(given: str, expected: dict[str, Any]) -> None:
    assert converted(f"{V2_LISTENER}name: l\n{given}\n") == {"name": "l", **expected}


def test_an_untyped_access_log_and_a_string_matcher_deep_inside() -> None:
    log = "access_log: {name: envoy.file_access_log, config: {path: /dev/null}}"
    typed = f"{PREFIX}envoy.extensions.access_loggers.file.v3.FileAccessLog"
    assert manager(log) == {
        "accessLog": [{"name": "envoy.file_access_log", "typedConfig": {"@type": typed, "path": "/dev/null"}}]
    }
    matcher = "{filter: f, path: {key: k}, value: {string_match: {regex: 'a+'}}}"
    principals = f"permissions: {{any: true}}, principals: {{metadata: {matcher}}}"
    config = f"{{stat_prefix: s, rules: {{policies: {{p: {{{principals}}}}}}}}}"
    rbac = f"filters: {{name: envoy.filters.network.rbac, config: {config}}}"
    policy = chain(rbac)["filters"][0]["typedConfig"]["rules"]["policies"]["p"]
    assert policy["principals"][0]["metadata"]["value"] == {"stringMatch": {"safeRegex": {"regex": "a+"}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{NAMED}extension_protocol_options: {{x: {{}}}}", "extension_protocol_options"),
        (
            f"{V2_LISTENER}name: l\n"
            "filter_chains: {filters: {name: envoy.tcp_proxy, config: {deprecated_v1: {}}}}",
            "filter_chains.filters.config.deprecated_v1",
        ),
        (
            NAMED + "tls_context: {common_tls_context: "
            "{tls_certificates: [{private_key_provider: {config: {}}}]}}",
            "tls_context.common_tls_context.tls_certificates[0].private_key_provider.config",
        ),
        (
            f"{ROUTES}virtual_hosts: {{virtual_clusters: [{{pattern: x}}]}}",
            "virtual_hosts.virtual_clusters[0].pattern",
        ),
        (
            f"{NAMED}healthChecks: [{{customHealthCheck: {{config: {{}}}}}}]",
            "healthChecks[0].customHealthCheck.config",
        ),
    ],
)
def test_everything_else_has_no_equivalent(text: str, expected: str) -> None:
    assert refused(text) == f'field "{expected}" of the v2 API has no equivalent in Envoy v3'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{V2_LISTENER}name: l\nfilter_chains: {{filters: {{name: my.filter, config: {{}}}}}}",
            'field "filter_chains.filters.config": the name "my.filter" implies no known type; '
            'write typed_config with an "@type"',
        ),
        (
            f"{V2_LISTENER}name: l\nlistener_filters: {{name: x}}",
            'field "listener_filters.typed_config": the name "x"',
        ),
        (
            f"{V2_LISTENER}name: l\nlistener_filters: {{name: x, config: {{}}, typed_config: {{}}}}",
            'field "listener_filters.config": "listener_filters.typed_config" is set too; keep one of them',
        ),
        (
            f"{NAMED}tls_context: {{}}\ntransport_socket: {{name: x}}",
            'field "tls_context": "transport_socket" is set too',
        ),
        (
            f"{ROUTES}virtual_hosts: {{per_filter_config: {{a.b: {{}}}}}}",
            'field "virtual_hosts.per_filter_config["a.b"]": the',
        ),
        (
            f"{ROUTES}virtual_hosts: {{cors: {{enabled: 1}}}}",
            'field "virtual_hosts.cors.enabled": expected true or false',
        ),
        (
            f"{ROUTES}virtual_hosts: {{cors: {{enabled: true, filter_enabled: {{}}}}}}",
            'field "virtual_hosts.cors.enabled": "virtual_hosts.cors.filter_enabled" is set too',
        ),
        (
            NAMED + "eds_cluster_config: "
            "{eds_config: {api_config_source: {api_type: UNSUPPORTED_REST_LEGACY}}}",
            "the value UNSUPPORTED_REST_LEGACY of the v2 API has no equivalent in Envoy v3",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(text: str, expected: str) -> None:
    assert expected in refused(text)


def test_every_rule_is_for_a_message_of_v2() -> None:
    assert set(RULES) <= set(NEXT)


@pytest.mark.parametrize(
    "names",
    [
        v2_names.NETWORK_FILTERS,
        v2_names.HTTP_FILTERS,
        v2_names.LISTENER_FILTERS,
        v2_names.ROUTE_FILTERS,
        v2_names.ACCESS_LOGS,
        v2_names.UPSTREAM_SOCKETS,
        v2_names.DOWNSTREAM_SOCKETS,
    ],
)
def test_every_name_leads_to_a_type_of_v3_that_was_in_v2(names: dict[str, str]) -> None:
    for type_name in names.values():
        assert find_type(type_name)[1] is False
        assert type_name in PREVIOUS
