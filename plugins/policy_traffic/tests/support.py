"""Raw Envoy resources for tests, and what they become."""

from __future__ import annotations

import warnings
from typing import Any

from kuma_policy_traffic.proxy_template.convert import NativeResource, read_resource
from kuma_policy_traffic.proxy_template.messages import PREFIX

V3_CLUSTER = f"'@type': {PREFIX}envoy.config.cluster.v3.Cluster\n"
V2_CLUSTER = f"'@type': {PREFIX}envoy.api.v2.Cluster\n"
V3_LISTENER = f"'@type': {PREFIX}envoy.config.listener.v3.Listener\n"
V2_LISTENER = f"'@type': {PREFIX}envoy.api.v2.Listener\n"

THE_DOCUMENTS_CLUSTER = f"""{V2_CLUSTER}
connectTimeout: 5s
loadAssignment:
  clusterName: localhost:8443
  endpoints:
    - lbEndpoints:
        - endpoint:
            address:
              socketAddress:
                address: 127.0.0.1
                portValue: 8443
name: localhost:8443
type: STATIC
"""
STATS_LISTENER = f"""{V2_LISTENER}
name: stats
address: {{socket_address: {{address: 127.0.0.1, port_value: 4040}}}}
filter_chains:
- filters:
  - name: envoy.http_connection_manager
    config:
      stat_prefix: stats
      route_config:
        virtual_hosts:
        - name: stats
          domains: ["*"]
          routes:
          - match: {{prefix: /stats}}
            route: {{cluster: "localhost:8443"}}
      http_filters:
        name: envoy.router
"""


def as_json(resource: NativeResource) -> dict[str, Any]:
    """The message as proto3 JSON, without the library's warnings of deprecated fields."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        document: dict[str, Any] = resource.message.to_dict()
    return document


def converted(text: str) -> dict[str, Any]:
    """A resource read and written as proto3 JSON."""
    return as_json(read_resource(text))
