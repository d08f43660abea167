"""The heavy half of the door: the Envoy messages that generators and policies build.

Importing it loads ``envoy_data_plane``; import it only in modules that build messages, never in a plugin's
``__init__``.
"""

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
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
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.google.protobuf import Any, ListValue, NullValue, Struct, Value
from envoy_data_plane.message_pool import default_message_pool

from kuma_core.xds.encoding import encode

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
    "LbEndpoint",
    "ListValue",
    "Listener",
    "LocalityLbEndpoints",
    "Message",
    "Metadata",
    "NullValue",
    "SocketAddress",
    "Struct",
    "TcpProxy",
    "Value",
    "default_message_pool",
    "encode",
]
