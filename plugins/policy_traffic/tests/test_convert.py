"""Reading raw Envoy resources of v2 and v3 (scenarios 53, 55, 56, 57)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.sdk.envoy import encode
from kuma_core.testing.platform import running_platform
from kuma_policy_traffic.proxy_template.convert import read_resource
from kuma_policy_traffic.proxy_template.messages import PREFIX
from kuma_policy_traffic.proxy_template.reader import Budget

from .support import (
    STATS_LISTENER,
    THE_DOCUMENTS_CLUSTER,
    V2_CLUSTER,
    V3_CLUSTER,
    V3_LISTENER,
    as_json,
    converted,
)

CHECK = {"timeout": "1s", "interval": "2s", "healthyThreshold": 1, "unhealthyThreshold": 1}


def reason(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        read_resource(text)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def test_the_cluster_of_the_users_document_becomes_v3_scenario_53() -> None:
    resource = read_resource(THE_DOCUMENTS_CLUSTER)
    assert (resource.type_url, resource.name) == (
        f"{PREFIX}envoy.config.cluster.v3.Cluster",
        "localhost:8443",
    )
    address = {"socketAddress": {"address": "127.0.0.1", "portValue": 8443}}
    assert as_json(resource) == {
        "name": "localhost:8443",
        "type": "STATIC",
        "connectTimeout": "5s",
        "loadAssignment": {
            "clusterName": "localhost:8443",
            "endpoints": [{"lbEndpoints": [{"endpoint": {"address": address}}]}],
        },
    }


@pytest.mark.parametrize(
    ("old", "key", "new"),
    [
        ("Cluster", "name", "envoy.config.cluster.v3.Cluster"),
        ("Listener", "name", "envoy.config.listener.v3.Listener"),
        ("RouteConfiguration", "name", "envoy.config.route.v3.RouteConfiguration"),
        ("ClusterLoadAssignment", "clusterName", "envoy.config.endpoint.v3.ClusterLoadAssignment"),
        ("auth.Secret", "name", "envoy.extensions.transport_sockets.tls.v3.Secret"),
    ],
)
def test_the_five_types_that_a_proxy_asks_for(old: str, key: str, new: str) -> None:
    for type_name in (f"envoy.api.v2.{old}", new):
        resource = read_resource(f'{{"@type": "{PREFIX}{type_name}", "{key}": "own"}}')
        assert (resource.type_url, resource.name) == (PREFIX + new, "own")


def test_an_untyped_config_and_a_lone_filter_scenario_55() -> None:
    network_filter = converted(STATS_LISTENER)["filterChains"][0]["filters"][0]
    assert network_filter["name"] == "envoy.http_connection_manager"
    manager = network_filter["typedConfig"]
    assert manager["@type"].endswith("http_connection_manager.v3.HttpConnectionManager")
    router = {"@type": f"{PREFIX}envoy.extensions.filters.http.router.v3.Router"}
    assert manager["httpFilters"] == [{"name": "envoy.router", "typedConfig": router}]


def test_a_tls_context_becomes_a_transport_socket_scenario_56() -> None:
    resource = read_resource(f"{V2_CLUSTER}name: a\ntls_context: {{sni: db.example}}\n")
    socket = as_json(resource)["transportSocket"]
    assert socket["name"] == "envoy.transport_sockets.tls"
    assert socket["typedConfig"] == {
        "@type": f"{PREFIX}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "db.example",
    }
    assert resource.message._unknown_fields == b""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a", "Any JSON doesn't have '@type'"),
        ("'@type': 5", "Any JSON doesn't have '@type'"),
        (f"'@type': {PREFIX}x.Y", 'unknown message type "x.Y"'),
        (f"'@type': {PREFIX}envoy.api.v2.Nothing", 'unknown message type "envoy.api.v2.Nothing"'),
        (f"'@type': {PREFIX}envoy.config.cluster.v3..Cluster", "unknown message type"),
        (f"'@type': {PREFIX}envoy.config.trace.v2.OpenCensusConfig", "(Envoy v3 no longer has it)"),
        ("'@type': [", "this is neither YAML nor JSON"),
        ("just text", 'expected a mapping with an "@type", got "just text"'),
        ("# nothing", "expected one YAML or JSON document, got none"),
        (V3_CLUSTER + "---\n" + V3_CLUSTER, "expected one YAML or JSON document, got 2"),
        (V2_CLUSTER + "name: ''", "invalid Cluster.Name: value length must be at least 1 bytes"),
        (V3_CLUSTER, "invalid Cluster.Name: value length must be at least 1 bytes"),
        (V3_LISTENER, "invalid Listener.Name: value length must be at least 1 bytes"),
        (
            f"'@type': {PREFIX}envoy.api.v2.ClusterLoadAssignment",
            "invalid ClusterLoadAssignment.ClusterName: value length must be at least 1 bytes",
        ),
        (
            f"'@type': {PREFIX}envoy.api.v2.core.Address",
            "a proxy does not ask for resources of type envoy.config.core.v3.Address; it asks for "
            "Cluster, ClusterLoadAssignment, Listener, RouteConfiguration, Secret",
        ),
    ],
)
def test_what_is_no_resource_is_refused_scenario_57(text: str, expected: str) -> None:
    assert expected in reason(text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("nme: a", 'unknown field "nme" of envoy.config.cluster.v3.Cluster'),
        ("tls_context: {}", 'unknown field "tls_context" of envoy.config.cluster.v3.Cluster'),
        ("name: 5", 'field "name": expected text, got 5 (put it in quotes)'),
        ("name: [a, b]", 'field "name": expected text, got a list'),
        ("connectTimeout: 5", 'field "connectTimeout": expected a duration in quotes such as 5s, got 5'),
        ("connectTimeout: -5s", 'expected a duration that is not negative, got "-5s"'),
        ("connectTimeout: 1ns", 'expected a duration of whole microseconds, got "1ns"'),
        ("connectTimeout: soon", 'field "connectTimeout": "soon" is not a duration'),
        (
            "type: STATIK",
            'field "type": expected one of STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST, got',
        ),
        ("type: 77", 'field "type": expected one of STATIC'),
        ("lbPolicy: ORIGINAL_DST_LB", 'field "lbPolicy": expected one of ROUND_ROBIN'),
        ("type: EDS\ncluster_type: {name: x}", 'field "cluster_type": "type" is set too'),
        (
            "connect_timeout: 1s\nconnectTimeout: 1s",
            'field "connectTimeout": "connect_timeout" is the same field',
        ),
        ("loadAssignment: 3", 'field "loadAssignment": expected a mapping, got 3'),
        ("loadAssignment: {endpoints: [{}, {x: 1}]}", 'unknown field "loadAssignment.endpoints[1].x"'),
        ("per_connection_buffer_limit_bytes: -1", "expected a whole number from 0 to 4294967295, got -1"),
        ("per_connection_buffer_limit_bytes: 1.5", "expected a whole number, got 1.5"),
        (
            "ignore_health_on_host_removal: 1",
            'field "ignore_health_on_host_removal": expected true or false, got 1',
        ),
        (
            "metadata: {filter_metadata: {a: 1}}",
            'field "metadata.filter_metadata["a"]": expected a mapping, got 1',
        ),
        ("health_checks: [null]", 'field "health_checks[0]": expected a mapping, got null'),
        (
            "health_checks: {tcp_health_check: {send: {binary: '%'}}}",
            'field "health_checks.tcp_health_check.send.binary": expected base64 text, got "%"',
        ),
        (
            "typed_extension_protocol_options: {h: {}}",
            'field "typed_extension_protocol_options["h"]": Any JSON doesn\'t have \'@type\'',
        ),
        (
            "typed_extension_protocol_options: "
            f"{{h: {{'@type': {PREFIX}google.protobuf.Duration, value: 1}}}}",
            'field "typed_extension_protocol_options["h"].value": expected a duration in quotes',
        ),
        (
            "transport_socket: {name: x, typed_config: "
            f"{{'@type': {PREFIX}envoy.api.v2.auth.UpstreamTlsContext, y: 1}}}}",
            'unknown field "transport_socket.typed_config.y" of envoy.api.v2.auth.UpstreamTlsContext',
        ),
    ],
)
def test_an_error_names_the_field_and_the_expectation(body: str, expected: str) -> None:
    assert expected in reason(V3_CLUSTER + body)


def test_every_kind_of_value_is_read() -> None:
    document = as_json(
        read_resource(
            V3_CLUSTER
            + f"""
name: a
alt_stat_name: null
type: 3
connectTimeout: 1m0.5s
per_connection_buffer_limit_bytes: "32768"
http_protocol_options: {{}}
metadata: {{filter_metadata: {{f: {{n: null, b: true, i: 7, l: [x, {{}}]}}}}}}
health_checks:
  timeout: 1s
  interval: 2s
  healthyThreshold: 1
  unhealthyThreshold: 1.0
  tcp_health_check: {{send: {{binary: aGk}}}}
outlier_detection: {{always_eject_one_host: true, max_ejection_percent: 1e2}}
typed_extension_protocol_options:
  one: {{"@type": {PREFIX}google.protobuf.Struct, value: {{a: 1}}}}
  two: {{"@type": {PREFIX}google.protobuf.UInt32Value, value: 5}}
  three: {{"@type": {PREFIX}google.protobuf.Empty}}
"""
        )
    )
    options = document.pop("typedExtensionProtocolOptions")
    assert document == {
        "name": "a",
        "type": "EDS",
        "connectTimeout": "60.500s",
        "perConnectionBufferLimitBytes": 32768,
        "httpProtocolOptions": {},
        "metadata": {"filterMetadata": {"f": {"n": None, "b": True, "i": 7, "l": ["x", {}]}}},
        "healthChecks": [{**CHECK, "tcpHealthCheck": {"send": {"binary": "aGk="}}}],
        "outlierDetection": {"alwaysEjectOneHost": True, "maxEjectionPercent": 100},
    }
    assert {name: any_["@type"].rpartition(".")[2] for name, any_ in options.items()} == {
        "one": "Struct",
        "two": "UInt32Value",
        "three": "Empty",
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("connect_timeout: 0s", "invalid Cluster.ConnectTimeout: value must be greater than 0s"),
        (
            "name: a\ndns_refresh_rate: 1ms",
            "invalid Cluster.DnsRefreshRate: value must be greater than 0.001s",
        ),
        (
            "name: a\nload_assignment: "
            "{cluster_name: a, endpoints: {lb_endpoints: {endpoint: {address: {}}}}}",
            'endpoint.address": invalid Address.Address: value is required, one of socket_address, pipe',
        ),
        (
            "name: a\nhealth_checks: {tcp_health_check: {}}",
            "invalid HealthCheck.HealthyThreshold: value is required",
        ),
        (
            "name: a\nload_assignment: {}",
            'field "load_assignment": invalid ClusterLoadAssignment.ClusterName: value length must be',
        ),
        (
            "name: a\noutlier_detection: {max_ejection_percent: 101}",
            'field "outlier_detection": invalid OutlierDetection.MaxEjectionPercent: '
            "value must be less than or equal to 100",
        ),
        (
            "name: a\nleast_request_lb_config: {choice_count: 1}",
            "invalid Cluster.LeastRequestLbConfig.ChoiceCount: value must be greater than or equal to 2",
        ),
    ],
)
def test_the_rules_of_envoy_itself(body: str, expected: str) -> None:
    assert expected in reason(V3_CLUSTER + body)


def test_a_moved_field_is_complained_of_where_it_was_written() -> None:
    hosts = "- socketAddress: {address: 1.1.1.1, port_value: 1}\n- socketAddress: {port: 1}\n"
    text = f"{V2_CLUSTER}name: a\nhosts:\n{hosts}"
    assert reason(text) == 'unknown field "hosts[1].socketAddress.port" of envoy.api.v2.core.SocketAddress'
    assert 'unknown field "tlsContext.x"' in reason(f"{V2_CLUSTER}name: a\ntlsContext: {{x: 1}}\n")


@pytest.mark.parametrize("version", ["", "resource_api_version: AUTO, ", "resource_api_version: V2, "])
def test_every_config_source_asks_for_v3(version: str) -> None:
    source = f"{{{version}api_config_source: {{api_type: GRPC, transport_api_version: 1}}}}"
    text = f"{V2_CLUSTER}name: a\ntype: EDS\neds_cluster_config: {{eds_config: {source}}}\n"
    assert converted(text)["edsClusterConfig"]["edsConfig"] == {
        "resourceApiVersion": "V3",
        "apiConfigSource": {"apiType": "GRPC", "transportApiVersion": "V3"},
    }


def test_a_v3_any_inside_a_v2_message_and_the_other_way_round() -> None:
    upstream = f"{PREFIX}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    for outer, inner in (
        (V2_CLUSTER, upstream),
        (V3_CLUSTER, f"{PREFIX}envoy.api.v2.auth.UpstreamTlsContext"),
    ):
        text = (
            f"{outer}name: a\ntransport_socket: {{name: tls, typed_config: {{'@type': {inner}, sni: x}}}}\n"
        )
        assert converted(text)["transportSocket"]["typedConfig"] == {
            "@type": upstream,
            "sni": "x",
        }


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"a":' * 100_000, "nested deeper than 64 levels"),
        ("- " * 100_000, "nested deeper than 64 levels"),
        (bomb(9), "more than 500000 values"),
        (
            f"{V3_CLUSTER}name: a\nmetadata: {{filter_metadata: "
            f"{{m: &m {{l: [{', '.join(['x'] * 20_000)}]}}, n: *m, o: *m, p: *m}}}}\n",
            "more than 50000 values, each alias counted as what it stands for",
        ),
    ],
    ids=["lists", "json", "dashes", "aliases", "aliases-within"],
)
def test_bombs_are_refused_quickly(text: str, expected: str) -> None:
    start = time.process_time()
    assert expected in reason(text)
    assert time.process_time() - start < 5


def test_a_budget_is_shared_between_resources() -> None:
    budget = Budget(10)
    read_resource(THE_DOCUMENTS_CLUSTER.replace("8443", "1"), Budget())
    for _ in range(5):
        read_resource(f"{V3_CLUSTER}name: a", budget)
    with pytest.raises(ValueError, match="more than"):
        read_resource(f"{V3_CLUSTER}name: a", budget)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
KEYS = st.sampled_from(
    [
        *("@type", "name", "config", "hosts", "tls_context", "filters", "filter_chains", "typed_config", "x"),
        *("connect_timeout", "type", "value", "regex", "load_assignment", "endpoints", "health_checks"),
        *("metadata", "filter_metadata", "lb_policy", "deprecated_v1", "address"),
    ]
)
VALUES = st.recursive(
    SCALARS
    | st.sampled_from([f"{PREFIX}envoy.api.v2.Cluster", "envoy.router", "envoy.tcp_proxy", "1s", "EDS"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from(
    [
        "envoy.api.v2.Cluster",
        "envoy.api.v2.Listener",
        "envoy.api.v2.RouteConfiguration",
        "envoy.api.v2.auth.Secret",
        "envoy.config.cluster.v3.Cluster",
        "google.protobuf.Struct",
        "google.protobuf.Any",
        "google.protobuf.Timestamp",
    ]
)


def _explained(error: ValueError) -> None:
    """Refused by us and not by a library: the same class, so that the text must tell."""
    assert str(error)
    assert type(error) is ValueError


@given(st.text() | st.dictionaries(KEYS, VALUES).map(repr))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    try:
        read_resource(text)
    except ValueError as error:
        _explained(error)


@given(TYPES, st.dictionaries(KEYS, VALUES))
def test_arbitrary_messages_are_read_or_refused(type_name: str, body: dict[str, Any]) -> None:
    import json

    try:
        resource = read_resource(json.dumps({**body, "@type": PREFIX + type_name}))
    except ValueError as error:
        _explained(error)
    else:
        assert resource.name
        assert type(resource.message).parse(encode(resource.message)) == resource.message


def test_the_write_is_refused_with_the_reason_at_the_field_scenario_57() -> None:
    import kuma_policy_traffic
    import kuma_store_memory

    raw = {
        "name": "raw",
        "version": "1",
        "resource": f"{V2_CLUSTER}name: a\nextension_protocol_options: {{}}",
    }
    document = {"type": "ProxyTemplate", "mesh": "default", "name": "pt", "conf": {"resources": [raw]}}
    with running_platform([kuma_policy_traffic, kuma_store_memory]) as running:
        answer = running.put("/meshes/default/proxytemplates/pt", document)
    assert answer.status == 400
    assert answer.body["causes"] == [
        {
            "field": "conf.resources[0].resource",
            "message": 'native Envoy resource is not valid: field "extension_protocol_options" of the v2 API '
            "has no equivalent in Envoy v3",
        }
    ]
