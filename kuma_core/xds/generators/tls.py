"""TLS between proxies, and who may come in."""

from __future__ import annotations

from functools import lru_cache

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import (
    ApiConfigSource,
    ApiConfigSourceApiType,
    ApiVersion,
    ConfigSource,
    DataSource,
    GrpcService,
    GrpcServiceGoogleGrpc,
    GrpcServiceGoogleGrpcCallCredentials,
    GrpcServiceGoogleGrpcCallCredentialsMetadataCredentialsFromPlugin,
    GrpcServiceGoogleGrpcChannelArgs,
    GrpcServiceGoogleGrpcChannelArgsValue,
    GrpcServiceGoogleGrpcChannelCredentials,
    GrpcServiceGoogleGrpcSslCredentials,
    TransportSocket,
)
from envoy_data_plane.envoy.config.grpc_credential.v3 import FileBasedMetadataConfig
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as Rules
from envoy_data_plane.envoy.config.rbac.v3 import RbacAction
from envoy_data_plane.envoy.extensions.filters.network.rbac.v3 import Rbac
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    CommonTlsContextCombinedCertificateValidationContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from kuma_core.ca.contract import IDENTITY_CERT, MESH_CA
from kuma_core.xds.bootstrap import channel_args
from kuma_core.xds.contract import SecretSource
from kuma_core.xds.drafts import FilterDraft
from kuma_core.xds.encoding import append, encode, validate
from kuma_core.xds.seal import pack

CREDENTIALS = "envoy.grpc_credentials.file_based_metadata"
TLS_SOCKET = "envoy.transport_sockets.tls"
RBAC_FILTER = "envoy.filters.network.rbac"

REMEMBERED_SOURCES = 256
"""Where a proxy gets its secrets is the greater part of its clusters, the same in all of them, and made once; each has
a few kilobytes."""


def downstream(source: SecretSource) -> TransportSocket:
    """TLS of an inbound: a client has to show a certificate of the mesh."""
    common = CommonTlsContext()
    append(common, _identity(source) + _trust(source, CommonTlsContext))
    return _socket(DownstreamTlsContext(require_client_certificate=True, common_tls_context=common))


def upstream(source: SecretSource, expected: str) -> TransportSocket:
    """TLS to a destination, which has to be exactly the expected SPIFFE id."""
    matcher = SubjectAltNameMatcher(
        san_type=SubjectAltNameMatcherSanType.URI, matcher=StringMatcher(exact=expected)
    )
    combined = CommonTlsContextCombinedCertificateValidationContext(
        default_validation_context=CertificateValidationContext(match_typed_subject_alt_names=[matcher])
    )
    append(combined, _trust(source, CommonTlsContextCombinedCertificateValidationContext))
    common = CommonTlsContext(combined_validation_context=combined)
    append(common, _identity(source))
    return _socket(UpstreamTlsContext(common_tls_context=common))


def closed_door(stat_prefix: str) -> FilterDraft:
    """The filter that lets nobody in until a policy adds to its rules."""
    rules = Rules(action=RbacAction.ALLOW)
    return FilterDraft(RBAC_FILTER, Rbac(stat_prefix=stat_prefix, rules=rules))


def _socket(context: Message) -> TransportSocket:
    return TransportSocket(name=TLS_SOCKET, typed_config=pack(context))


@lru_cache(REMEMBERED_SOURCES)
def _identity(source: SecretSource) -> bytes:
    """Where the own certificate is, as fields of a ``CommonTlsContext``."""
    return _encoded(CommonTlsContext(tls_certificate_sds_secret_configs=[_secret(IDENTITY_CERT, source)]))


@lru_cache(REMEMBERED_SOURCES)
def _trust(source: SecretSource, cls: type[Message]) -> bytes:
    """Where the authority of the mesh is, as the field of a message that has one of that name."""
    return _encoded(cls(validation_context_sds_secret_config=_secret(MESH_CA, source)))


def _encoded(message: Message) -> bytes:
    validate(message)
    return encode(message)


def _secret(name: str, source: SecretSource) -> SdsSecretConfig:
    api = ApiConfigSource(
        api_type=ApiConfigSourceApiType.GRPC,
        transport_api_version=ApiVersion.V3,
        set_node_on_first_message_only=True,
        grpc_services=[GrpcService(google_grpc=_google_grpc(name, source))],
    )
    return SdsSecretConfig(
        name=name, sds_config=ConfigSource(api_config_source=api, resource_api_version=ApiVersion.V3)
    )


def _google_grpc(name: str, source: SecretSource) -> GrpcServiceGoogleGrpc:
    trusted = GrpcServiceGoogleGrpcSslCredentials(root_certs=DataSource(inline_bytes=source.root.encode()))
    grpc = GrpcServiceGoogleGrpc(
        target_uri=source.target,
        stat_prefix=f"sds_{name}",
        channel_credentials=GrpcServiceGoogleGrpcChannelCredentials(ssl_credentials=trusted),
        channel_args=_channel_args(source.target),
    )
    if source.token_path:
        config = FileBasedMetadataConfig(secret_data=DataSource(filename=source.token_path))
        plugin = GrpcServiceGoogleGrpcCallCredentialsMetadataCredentialsFromPlugin(
            name=CREDENTIALS, typed_config=pack(config)
        )
        grpc.credentials_factory_name = CREDENTIALS
        grpc.call_credentials = [GrpcServiceGoogleGrpcCallCredentials(from_plugin=plugin)]
    return grpc


def _channel_args(target: str) -> GrpcServiceGoogleGrpcChannelArgs:
    value = GrpcServiceGoogleGrpcChannelArgsValue
    args = {
        name: value(string_value=arg) if isinstance(arg, str) else value(int_value=arg)
        for name, arg in channel_args(target).items()
    }
    return GrpcServiceGoogleGrpcChannelArgs(args=args)
