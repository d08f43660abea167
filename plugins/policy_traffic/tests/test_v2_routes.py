"""Every rule for a field of routes and listeners that Envoy's v3 API does not have any more."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_policy_traffic.proxy_template.messages import PREFIX

from .support import V2_LISTENER, converted
from .v2 import LISTENER_FILTERS, chain, manager, route, virtual_host


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
