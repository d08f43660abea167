"""Every rule for a field of clusters and their TLS that Envoy's v3 API does not have any more."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_policy_traffic.proxy_template.messages import PREFIX

from .v2 import CHECK, chain, cluster, validation


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
