"""The heavy half of the door: the Envoy messages that generators and policies build.

Importing it loads ``envoy_data_plane``; import it only in modules that build messages, never in a plugin's
``__init__``.
"""

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
    HealthCheck,
    HealthCheckTcpHealthCheck,
    Metadata,
    SocketAddress,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.rbac.v3 import Permission, Principal, PrincipalAuthenticated
from envoy_data_plane.envoy.config.rbac.v3 import Policy as RbacPolicy
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any, ListValue, NullValue, Struct, Value
from envoy_data_plane.message_pool import default_message_pool

from kuma_core.xds.contract import ProxyView
from kuma_core.xds.drafts import FilterDraft, ListenerDraft
from kuma_core.xds.encoding import encode
from kuma_core.xds.generators.common import access_log
from kuma_core.xds.reserved import check_names
from kuma_core.xds.seal import encoded

__all__ = [
    "Address",
    "AggregatedConfigSource",
    "Any",
    "ApiVersion",
    "Cluster",
    "ClusterDiscoveryType",
    "ClusterEdsClusterConfig",
    "ClusterLoadAssignment",
    "ConfigSource",
    "Endpoint",
    "Filter",
    "FilterChain",
    "FilterDraft",
    "HealthCheck",
    "HealthCheckTcpHealthCheck",
    "LbEndpoint",
    "ListValue",
    "Listener",
    "ListenerDraft",
    "LocalityLbEndpoints",
    "Message",
    "Metadata",
    "NullValue",
    "OutlierDetection",
    "Permission",
    "Principal",
    "PrincipalAuthenticated",
    "ProxyView",
    "RbacPolicy",
    "SocketAddress",
    "StringMatcher",
    "Struct",
    "TcpProxy",
    "Value",
    "access_log",
    "check_names",
    "default_message_pool",
    "encode",
    "encoded",
]
