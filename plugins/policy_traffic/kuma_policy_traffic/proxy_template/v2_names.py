"""Which message configures an extension of a given name; v2 let its type go unsaid."""

from __future__ import annotations

from collections.abc import Mapping

_NETWORK = {
    "http_connection_manager": "HttpConnectionManager",
    "tcp_proxy": "TcpProxy",
    "rbac": "RBAC",
    "ratelimit": "RateLimit",
    "ext_authz": "ExtAuthz",
    "redis_proxy": "RedisProxy",
    "mongo_proxy": "MongoProxy",
    "echo": "Echo",
    "thrift_proxy": "ThriftProxy",
    "dubbo_proxy": "DubboProxy",
    "zookeeper_proxy": "ZooKeeperProxy",
    "local_ratelimit": "LocalRateLimit",
    "sni_cluster": "SniCluster",
}
_HTTP = {
    "router": "Router",
    "cors": "Cors",
    "fault": "HTTPFault",
    "lua": "Lua",
    "health_check": "HealthCheck",
    "gzip": "Gzip",
    "ratelimit": "RateLimit",
    "ext_authz": "ExtAuthz",
    "grpc_web": "GrpcWeb",
    "grpc_http1_bridge": "Config",
    "grpc_http1_reverse_bridge": "FilterConfig",
    "grpc_json_transcoder": "GrpcJsonTranscoder",
    "grpc_stats": "FilterConfig",
    "buffer": "Buffer",
    "csrf": "CsrfPolicy",
    "ip_tagging": "IPTagging",
    "rbac": "RBAC",
    "jwt_authn": "JwtAuthentication",
    "header_to_metadata": "Config",
    "original_src": "OriginalSrc",
    "dynamic_forward_proxy": "FilterConfig",
    "adaptive_concurrency": "AdaptiveConcurrency",
    "tap": "Tap",
}
_LISTENER = {
    "original_dst": "OriginalDst",
    "original_src": "OriginalSrc",
    "tls_inspector": "TlsInspector",
    "http_inspector": "HttpInspector",
    "proxy_protocol": "ProxyProtocol",
}
_ROUTE = {
    "fault": "HTTPFault",
    "rbac": "RBACPerRoute",
    "buffer": "BufferPerRoute",
    "ext_authz": "ExtAuthzPerRoute",
    "csrf": "CsrfPolicy",
    "grpc_json_transcoder": "GrpcJsonTranscoder",
    "grpc_http1_reverse_bridge": "FilterConfigPerRoute",
    "dynamic_forward_proxy": "PerRouteConfig",
    "header_to_metadata": "Config",
}
_LOGGERS = "envoy.extensions.access_loggers"
_SOCKETS = "envoy.extensions.transport_sockets"


def _filters(slot: str, types: Mapping[str, str], old: str) -> dict[str, str]:
    """By ``envoy.filters.<slot>.<name>`` and by the older name with ``old`` before it: the type."""
    full = {name: f"envoy.extensions.filters.{slot}.{name}.v3.{message}" for name, message in types.items()}
    return {
        **{f"{old}{name}": message for name, message in full.items()},
        **{f"envoy.filters.{slot}.{name}": message for name, message in full.items()},
    }


def _http_filters(types: Mapping[str, str]) -> dict[str, str]:
    names = _filters("http", types, "envoy.")
    return names | ({"envoy.rate_limit": names["envoy.ratelimit"]} if "ratelimit" in types else {})


NETWORK_FILTERS = _filters("network", _NETWORK, "envoy.")
HTTP_FILTERS = _http_filters(_HTTP)
LISTENER_FILTERS = _filters("listener", _LISTENER, "envoy.listener.")
ROUTE_FILTERS = _http_filters(_ROUTE)
"""What a route says about an HTTP filter."""
ACCESS_LOGS = {
    "envoy.file_access_log": f"{_LOGGERS}.file.v3.FileAccessLog",
    "envoy.access_loggers.file": f"{_LOGGERS}.file.v3.FileAccessLog",
    "envoy.http_grpc_access_log": f"{_LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig",
    "envoy.access_loggers.http_grpc": f"{_LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig",
    "envoy.tcp_grpc_access_log": f"{_LOGGERS}.grpc.v3.TcpGrpcAccessLogConfig",
    "envoy.access_loggers.tcp_grpc": f"{_LOGGERS}.grpc.v3.TcpGrpcAccessLogConfig",
}

TLS = "envoy.transport_sockets.tls"
UPSTREAM_TLS = f"{_SOCKETS}.tls.v3.UpstreamTlsContext"
DOWNSTREAM_TLS = f"{_SOCKETS}.tls.v3.DownstreamTlsContext"
_OTHER_SOCKETS = {
    "envoy.transport_sockets.raw_buffer": f"{_SOCKETS}.raw_buffer.v3.RawBuffer",
    "envoy.transport_sockets.alts": f"{_SOCKETS}.alts.v3.Alts",
}
UPSTREAM_SOCKETS = {TLS: UPSTREAM_TLS, **_OTHER_SOCKETS}
DOWNSTREAM_SOCKETS = {TLS: DOWNSTREAM_TLS, **_OTHER_SOCKETS}
