"""What became of v2 documents is taken by a real Envoy, all in one static bootstrap."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap, BootstrapStaticResources

from kuma_core.sdk.envoy import encode
from kuma_policy_traffic.proxy_template import reader
from kuma_policy_traffic.proxy_template.convert import read_resource

from .support import STATS_LISTENER, THE_DOCUMENTS_CLUSTER, V2_CLUSTER, V2_LISTENER, V3_CLUSTER

ENVOY = Path(sys.executable).with_name("envoy")
pytestmark = pytest.mark.skipif(not ENVOY.exists(), reason="Envoy is not installed beside Python")

ANYBODY = "{permissions: {any: true}, principals: {any: true}}"
HOST = "{socket_address: {address: 127.0.0.1, port_value: 1}}"
CLUSTERS = [
    THE_DOCUMENTS_CLUSTER,
    f"""{V2_CLUSTER}
name: secured
connect_timeout: 1s
type: STATIC
hosts: {HOST}
tls_context:
  sni: db.example
  common_tls_context:
    alpn_protocols: h2
    validation_context: {{trusted_ca: {{inline_string: PEM}}, verify_subject_alt_name: [spiffe://m/db, db]}}
http2_protocol_options: {{}}
health_checks:
- timeout: 1s
  interval: 2s
  unhealthy_threshold: 3
  healthy_threshold: 1
  http_health_check: {{path: /, use_http2: true, service_name: db}}
""",
    f"{V2_CLUSTER}name: original\nconnect_timeout: 1s\ntype: ORIGINAL_DST\nlb_policy: ORIGINAL_DST_LB\n",
    f"{V2_CLUSTER}name: plain\ntransport_socket: {{name: envoy.transport_sockets.raw_buffer}}\n",
    f"{V2_CLUSTER}name: eds\ntype: EDS\neds_cluster_config: {{eds_config: {{path: EDS_FILE}}}}\n",
]
HTTP_LISTENER = f"""{V2_LISTENER}
name: http
deprecated_v1: {{bind_to_port: false}}
address: {{socket_address: {{address: 127.0.0.1, port_value: 4041}}}}
listener_filters:
- name: envoy.listener.tls_inspector
- name: envoy.listener.original_dst
filter_chains:
- filters:
  - name: envoy.http_connection_manager
    config:
      stat_prefix: http
      idle_timeout: 5s
      tracing: {{operation_name: EGRESS, request_headers_for_tags: [x-tag]}}
      access_log:
      - name: envoy.file_access_log
        config: {{path: /dev/null, format: "%START_TIME%\\n"}}
      route_config:
        name: routes
        virtual_hosts:
        - name: all
          domains: "*"
          cors: {{allow_origin: ["*"], allow_origin_regex: 'https://.*', enabled: true}}
          per_filter_config:
            envoy.fault: {{abort: {{http_status: 503, percentage: {{numerator: 0}}}}}}
          routes:
          - match:
              regex: "/a.*"
              headers: {{name: x, regex_match: "b.*"}}
              query_parameters: [{{name: q, value: "c.*", regex: true}}, {{name: r}}]
            route:
              cluster: plain
              host_rewrite: example.com
              request_mirror_policy: {{cluster: secured, runtime_key: mirror}}
          - match: {{prefix: /}}
            route: {{weighted_clusters: {{clusters: [{{name: plain, weight: 100}}]}}}}
      http_filters:
      - name: envoy.cors
      - name: envoy.fault
        config: {{delay: {{type: FIXED, fixed_delay: 1s, percentage: {{numerator: 0}}}}}}
      - name: envoy.lua
        config: {{inline_code: "function envoy_on_request(handle) end"}}
      - name: envoy.health_check
        config: {{pass_through_mode: false, headers: {{name: ":path", exact_match: /healthz}}}}
      - name: envoy.grpc_web
      - name: envoy.filters.http.rbac
        config: {{rules: {{policies: {{p: {ANYBODY}}}}}}}
      - name: envoy.router
"""
TCP_LISTENER = f"""{V2_LISTENER}
name: tcp
address: {{socket_address: {{address: 127.0.0.1, port_value: 4042}}}}
filter_chains:
- filter_chain_match: {{source_type: LOCAL}}
  filters:
  - name: envoy.filters.network.rbac
    config: {{stat_prefix: r, rules: {{policies: {{p: {ANYBODY}}}}}}}
  - name: envoy.tcp_proxy
    config: {{stat_prefix: tcp, cluster: plain}}
- filters:
  - name: envoy.redis_proxy
    config:
      stat_prefix: r
      settings: {{op_timeout: 1s}}
      prefix_routes: {{catch_all_route: {{cluster: plain}}}}
- filter_chain_match: {{destination_port: 7}}
  filters: {{name: envoy.echo}}
"""
LISTENERS = [STATS_LISTENER, HTTP_LISTENER, TCP_LISTENER]


def certificate() -> str:
    """A certificate of an authority, as PEM on one line of YAML."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return json.dumps(made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode())


def validated(tmp_path: Path, clusters: Sequence[str], listeners: Sequence[str]) -> str:
    """What Envoy complains of in a bootstrap with these resources; empty if it takes them all."""
    resources = BootstrapStaticResources(
        clusters=[read_resource(text).message for text in clusters],
        listeners=[read_resource(text).message for text in listeners],
    )
    bootstrap = tmp_path / "bootstrap.pb"
    bootstrap.write_bytes(encode(Bootstrap(static_resources=resources)))
    command = [ENVOY, "--mode", "validate", "-c", bootstrap, "--service-node", "n", "--service-cluster", "c"]
    checked = subprocess.run(
        [*command, "-l", "warning"], capture_output=True, text=True, timeout=60, check=False
    )
    assert "unknown field" not in checked.stderr
    return checked.stderr[-2000:] or "failed" if checked.returncode else ""


def test_envoy_takes_what_was_converted_scenario_55(tmp_path: Path) -> None:
    eds = tmp_path / "eds.json"
    eds.write_text("{}")
    clusters = [text.replace("EDS_FILE", str(eds)).replace("PEM", certificate()) for text in CLUSTERS]
    assert validated(tmp_path, clusters, LISTENERS) == ""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("connect_timeout: 0s", "ConnectTimeout"),
        ("health_checks: {tcp_health_check: {}}", "Timeout"),
        ("outlier_detection: {max_ejection_percent: 101}", "MaxEjectionPercent"),
        (
            "load_assignment: {cluster_name: a, endpoints: {lb_endpoints: {endpoint: {address: {}}}}}",
            "Address",
        ),
    ],
)
def test_envoy_refuses_what_its_rules_made_us_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    text = f"{V3_CLUSTER}name: a\n{body}\n"
    with pytest.raises(ValueError, match="invalid "):
        read_resource(text)
    monkeypatch.setattr(reader, "check_rules", lambda name, message, path: None)
    problem = validated(tmp_path, [text], [])
    assert "constraint validation failed" in problem
    assert told in problem


def test_envoy_does_look_at_what_was_converted(tmp_path: Path) -> None:
    nowhere = STATS_LISTENER.replace("localhost:8443", "nowhere")
    assert "unknown cluster 'nowhere'" in validated(tmp_path, CLUSTERS[:1], [nowhere])
