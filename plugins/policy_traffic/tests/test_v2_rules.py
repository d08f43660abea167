"""What of v2 has no equivalent in v3 is refused; the tables of rules are complete."""

from __future__ import annotations

import pytest

from kuma_policy_traffic.proxy_template import v2_names
from kuma_policy_traffic.proxy_template.messages import NEXT, find_type
from kuma_policy_traffic.proxy_template.v2_rules import RULES
from kuma_policy_traffic.proxy_template.v2_types import PREVIOUS

from .support import V2_LISTENER
from .v2 import NAMED, ROUTES, refused


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
