"""What a ProxyTemplate may hold as it is. Whatever is not listed reaches the proxy's machine, or may do so.

Raw resources make an Envoy do what it can: run code, read files and variables, write files, dial whoever it reaches. So
nothing is forbidden here; what is known to stay within the proxy's traffic is allowed. Names that are not here may be
allowed by the setting, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping

_ACCESS, _CLUSTERS, _COMPRESSION = "access_loggers.", "clusters.", "compression."
_HTTP, _NETWORK, _LISTENER = "filters.http.", "filters.network.", "filters.listener."


def _of(prefix: str, *types: str) -> tuple[str, ...]:
    return tuple(f"envoy.extensions.{prefix}{name}" for name in types)


EXTENSIONS = frozenset(
    (
        *_of(_ACCESS, "grpc.v3.HttpGrpcAccessLogConfig", "grpc.v3.TcpGrpcAccessLogConfig"),
        *_of(_ACCESS, "open_telemetry.v3.OpenTelemetryAccessLogConfig", "filters.cel.v3.ExpressionFilter"),
        *_of(_ACCESS, "stream.v3.StdoutAccessLog", "stream.v3.StderrAccessLog"),
        *_of(_CLUSTERS, "aggregate.v3.ClusterConfig", "dns.v3.DnsCluster"),
        *_of(_COMPRESSION, "brotli.compressor.v3.Brotli", "brotli.decompressor.v3.Brotli"),
        *_of(_COMPRESSION, "gzip.compressor.v3.Gzip", "gzip.decompressor.v3.Gzip"),
        *_of(_COMPRESSION, "zstd.compressor.v3.Zstd", "zstd.decompressor.v3.Zstd"),
        *_of(_HTTP, "adaptive_concurrency.v3.AdaptiveConcurrency", "admission_control.v3.AdmissionControl"),
        *_of(_HTTP, "api_key_auth.v3.ApiKeyAuth", "api_key_auth.v3.ApiKeyAuthPerRoute"),
        *_of(_HTTP, "bandwidth_limit.v3.BandwidthLimit"),
        *_of(_HTTP, "basic_auth.v3.BasicAuth", "basic_auth.v3.BasicAuthPerRoute"),
        *_of(_HTTP, "buffer.v3.Buffer", "buffer.v3.BufferPerRoute", "cdn_loop.v3.CdnLoopConfig"),
        *_of(_HTTP, "compressor.v3.Compressor", "compressor.v3.CompressorPerRoute"),
        *_of(_HTTP, "connect_grpc_bridge.v3.FilterConfig", "cors.v3.Cors", "cors.v3.CorsPolicy"),
        *_of(_HTTP, "csrf.v3.CsrfPolicy", "decompressor.v3.Decompressor"),
        *_of(_HTTP, "ext_authz.v3.ExtAuthz", "ext_authz.v3.ExtAuthzPerRoute", "fault.v3.HTTPFault"),
        *_of(_HTTP, "grpc_http1_bridge.v3.Config", "grpc_http1_reverse_bridge.v3.FilterConfig"),
        *_of(_HTTP, "grpc_http1_reverse_bridge.v3.FilterConfigPerRoute"),
        *_of(_HTTP, "grpc_json_transcoder.v3.GrpcJsonTranscoder", "grpc_stats.v3.FilterConfig"),
        *_of(_HTTP, "grpc_web.v3.GrpcWeb", "gzip.v3.Gzip"),
        *_of(_HTTP, "header_mutation.v3.HeaderMutation", "header_mutation.v3.HeaderMutationPerRoute"),
        *_of(_HTTP, "header_to_metadata.v3.Config", "health_check.v3.HealthCheck"),
        *_of(_HTTP, "json_to_metadata.v3.JsonToMetadata"),
        *_of(_HTTP, "jwt_authn.v3.JwtAuthentication", "jwt_authn.v3.PerRouteConfig"),
        *_of(_HTTP, "local_ratelimit.v3.LocalRateLimit"),
        *_of(_HTTP, "ratelimit.v3.RateLimit", "ratelimit.v3.RateLimitPerRoute"),
        *_of(_HTTP, "rbac.v3.RBAC", "rbac.v3.RBACPerRoute", "router.v3.Router", "set_metadata.v3.Config"),
        *_of(_HTTP, "stateful_session.v3.StatefulSession", "stateful_session.v3.StatefulSessionPerRoute"),
        *_of(_LISTENER, "http_inspector.v3.HttpInspector", "local_ratelimit.v3.LocalRateLimit"),
        *_of(_LISTENER, "original_dst.v3.OriginalDst", "tls_inspector.v3.TlsInspector"),
        *_of(_NETWORK, "connection_limit.v3.ConnectionLimit", "direct_response.v3.Config", "echo.v3.Echo"),
        *_of(_NETWORK, "dubbo_proxy.v3.DubboProxy", "dubbo_proxy.router.v3.Router"),
        *_of(_NETWORK, "ext_authz.v3.ExtAuthz", "http_connection_manager.v3.HttpConnectionManager"),
        *_of(_NETWORK, "local_ratelimit.v3.LocalRateLimit", "mongo_proxy.v3.MongoProxy"),
        *_of(_NETWORK, "ratelimit.v3.RateLimit", "rbac.v3.RBAC"),
        *_of(_NETWORK, "redis_proxy.v3.RedisProxy", "redis_proxy.v3.RedisProtocolOptions"),
        *_of(_NETWORK, "tcp_proxy.v3.TcpProxy", "thrift_proxy.v3.ThriftProxy"),
        *_of(_NETWORK, "thrift_proxy.v3.ThriftProtocolOptions", "thrift_proxy.router.v3.Router"),
        *_of(_NETWORK, "thrift_proxy.filters.ratelimit.v3.RateLimit", "zookeeper_proxy.v3.ZooKeeperProxy"),
        *_of("health_checkers.", "redis.v3.Redis", "thrift.v3.Thrift"),
        *_of("http.header_formatters.", "preserve_case.v3.PreserveCaseFormatterConfig"),
        *_of("http.header_validators.", "envoy_default.v3.HeaderValidatorConfig"),
        *_of("http.original_ip_detection.", "custom_header.v3.CustomHeaderConfig", "xff.v3.XffConfig"),
        *_of("http.stateful_session.", "cookie.v3.CookieBasedSessionState"),
        *_of("http.stateful_session.", "header.v3.HeaderBasedSessionState"),
        *_of("internal_redirect.", "allow_listed_routes.v3.AllowListedRoutesConfig"),
        *_of("internal_redirect.", "previous_routes.v3.PreviousRoutesConfig"),
        *_of("internal_redirect.", "safe_cross_scheme.v3.SafeCrossSchemeConfig"),
        *_of("load_balancing_policies.", "cluster_provided.v3.ClusterProvided", "maglev.v3.Maglev"),
        *_of("load_balancing_policies.", "least_request.v3.LeastRequest", "pick_first.v3.PickFirst"),
        *_of("load_balancing_policies.", "random.v3.Random", "ring_hash.v3.RingHash", "subset.v3.Subset"),
        *_of("load_balancing_policies.", "round_robin.v3.RoundRobin", "wrr_locality.v3.WrrLocality"),
        *_of("network.dns_resolver.", "cares.v3.CaresDnsResolverConfig"),
        *_of("network.dns_resolver.", "getaddrinfo.v3.GetAddrInfoDnsResolverConfig"),
        *_of("rbac.audit_loggers.", "stream.v3.StdoutAuditLog"),
        *_of("request_id.", "uuid.v3.UuidRequestIdConfig"),
        *_of("retry.host.", "omit_canary_hosts.v3.OmitCanaryHostsPredicate"),
        *_of("retry.host.", "omit_host_metadata.v3.OmitHostMetadataConfig"),
        *_of("retry.host.", "previous_hosts.v3.PreviousHostsPredicate"),
        *_of("retry.priority.", "previous_priorities.v3.PreviousPrioritiesConfig"),
        *_of("transport_sockets.", "alts.v3.Alts", "raw_buffer.v3.RawBuffer"),
        *_of("transport_sockets.", "proxy_protocol.v3.ProxyProtocolUpstreamTransport"),
        *_of("transport_sockets.tls.v3.", "DownstreamTlsContext", "UpstreamTlsContext"),
        *_of("transport_sockets.tls.v3.", "SPIFFECertValidatorConfig"),
        *_of("upstreams.", "http.v3.HttpProtocolOptions", "tcp.v3.TcpProtocolOptions"),
        *_of("upstreams.", "http.http.v3.HttpConnectionPoolProto", "http.tcp.v3.TcpConnectionPoolProto"),
        *_of("upstreams.", "http.generic.v3.GenericConnectionPoolProto"),
        *_of("upstreams.", "tcp.generic.v3.GenericConnectionPoolProto"),
        "envoy.config.trace.v3.ZipkinConfig",
        "envoy.config.trace.v3.DatadogConfig",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        "google.protobuf.BoolValue",
        "google.protobuf.BytesValue",
        "google.protobuf.Duration",
        "google.protobuf.Int64Value",
        "google.protobuf.StringValue",
        "google.protobuf.UInt32Value",
    )
)
"""The types that an ``Any`` may hold. Not ``google.protobuf.Struct``, nor a TypedStruct: either stands for any type."""

_CORE, _TLS = "envoy.config.core.v3.", "envoy.extensions.transport_sockets.tls.v3."

FORMS: Mapping[str, frozenset[str]] = {
    f"{_CORE}Address": frozenset(("socket_address",)),
    f"{_CORE}AsyncDataSource": frozenset(("local",)),
    f"{_CORE}ConfigSource": frozenset(
        ("ads", "authorities", "initial_fetch_timeout", "resource_api_version", "self")
    ),
    f"{_CORE}DataSource": frozenset(("inline_bytes", "inline_string")),
    f"{_CORE}GrpcService": frozenset(("envoy_grpc", "initial_metadata", "retry_policy", "timeout")),
    f"{_CORE}SocketAddress": frozenset(("address", "ipv4_compat", "port_value", "protocol", "resolver_name")),
    f"{_TLS}CertificateValidationContext": frozenset(
        (
            "allow_expired_certificate",
            "ca_certificate_provider_instance",
            "crl",
            "custom_validator_config",
            "match_subject_alt_names",
            "match_typed_subject_alt_names",
            "max_verify_depth",
            "only_verify_leaf_cert_crl",
            "require_signed_certificate_timestamp",
            "suppress_client_ca_list",
            "system_root_certs",
            "trust_chain_verification",
            "trusted_ca",
            "verify_certificate_hash",
            "verify_certificate_spki",
        )
    ),
    f"{_TLS}TlsCertificate": frozenset(
        (
            "certificate_chain",
            "ocsp_staple",
            "password",
            "pkcs12",
            "private_key",
            "signed_certificate_timestamp",
        )
    ),
}
"""Of messages that say where something comes from, or goes to: the fields that stay within the document."""

CLOSED = frozenset(
    (
        "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig.http_header_name",
        "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig.metadata_key",
        "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig.upstream_port_override",
        "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig.use_http_header",
        "envoy.config.core.v3.HealthCheck.event_log_path",
        "envoy.config.listener.v3.Listener.internal_listener",
        "envoy.config.route.v3.RouteAction.RequestMirrorPolicy.cluster_header",
        "envoy.config.route.v3.RouteAction.cluster_header",
        "envoy.config.route.v3.WeightedCluster.ClusterWeight.cluster_header",
        "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder.proto_descriptor",
        "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy.access_log",
        "envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions.aws_iam",
        "envoy.extensions.filters.network.thrift_proxy.v3.RouteAction.cluster_header",
        "envoy.extensions.filters.network.zookeeper_proxy.v3.ZooKeeperProxy.access_log",
        "envoy.extensions.health_checkers.redis.v3.Redis.aws_iam",
        f"{_TLS}CommonTlsContext.key_log",
        "envoy.type.tracing.v3.CustomTag.environment",
    )
)
"""Fields of allowed messages that write or read a file, take a variable, or let a client say where to go."""

OPERATORS = frozenset(
    (
        *("ACCESS_LOG_TYPE", "CLUSTER_METADATA", "COMMON_DURATION", "CUSTOM_FLAGS", "DURATION"),
        *("DYNAMIC_METADATA", "EMIT_TIME", "EMIT_TIME_LOCAL", "FILTER_STATE", "GRPC_STATUS"),
        *("GRPC_STATUS_NUMBER", "HOSTNAME", "LOCAL_REPLY_BODY", "METADATA", "PATH", "PER_REQUEST_STATE"),
        *("PROTOCOL", "QUERY_PARAM", "QUERY_PARAMS", "REQ", "REQ_WITHOUT_QUERY", "RESP"),
        *("ROUNDTRIP_DURATION", "ROUTE_NAME", "SPAN_ID", "START_TIME", "START_TIME_LOCAL", "STREAM_ID"),
        *("TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT", "TRACE_ID", "TRAILER", "UNIQUE_ID"),
        *("VIRTUAL_CLUSTER_NAME", "REQUESTED_SERVER_NAME"),
    )
)
"""What a format may ask for between percent signs, beside all that begins as in ``OPERATOR_FAMILIES``."""
OPERATOR_FAMILIES = (
    *("BYTES_", "CONNECTION_", "DOWNSTREAM_", "PACKETS_", "REQUEST_", "RESPONSE_", "UPSTREAM_"),
)

ADMIN_CLUSTER = "kuma:envoy:admin"
"""The cluster of Envoy's admin API, which the metrics listener of a mesh brings."""
ADMIN_API = "envoy-admin"
"""The name of Envoy's admin API for the setting: as this cluster, or as an endpoint on its port."""
EVERYTHING = "*"
FILE_LOG = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
