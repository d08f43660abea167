"""The configuration with which an Envoy starts: where the control plane is, who it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from kuma_core.config import Config
from kuma_core.errors import ConfigError
from kuma_core.hosts import parse_hosts
from kuma_core.plugin.contract import BootstrapFragment, StaticCluster, StatsSink, StatsTag
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.xds.keepalive import KEEPALIVE
from kuma_core.xds.proxy import ADMIN_PORT, IPV6, LOG_FILES, LOG_PIPE, TELLS_SERVING, TOKEN_PATH, Proxy

ADS_CLUSTER = "ads_cluster"
_PLAIN_KEEPALIVE = {"interval": "15s", "timeout": "10s"}
_API_TYPES = {"delta": "DELTA_GRPC", "sotw": "GRPC"}
_TYPE = "type.googleapis.com/envoy.extensions."
_FILE_CREDENTIALS = "envoy.grpc_credentials.file_based_metadata"
_FILE_CREDENTIALS_TYPE = "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig"
_CHANNEL_ARGS = {
    **KEEPALIVE,
    "grpc.initial_reconnect_backoff_ms": 500,
    "grpc.max_reconnect_backoff_ms": 5_000,
    "grpc.max_receive_message_length": -1,
}
"""A proxy notices after 5 s that a control plane is back, where gRPC alone would wait up to two minutes. A response may
be of any length: with mTLS some 2 500 outbounds need more than the 4 MiB that gRPC takes, and a proxy would never get
its configuration."""


@dataclass(frozen=True, slots=True)
class BootstrapParams:
    """What is the same for every proxy.

    ``hosts`` are the control planes as ``(host, port)``; ``root`` is the certificate to trust them by, in PEM,
    empty for a control plane that speaks no TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    api_type: str
    connect_timeout: str
    admin_address: str
    admin_port: int
    admin_log: str
    root: str = ""


def bootstrap_params(config: Config, root: str = "") -> BootstrapParams:
    """Read the parameters; raises ``ConfigError`` for an ``xdsHost`` that is not ``host[:port],…``."""
    params = "bootstrapServer.params"
    return BootstrapParams(
        hosts=_hosts(config.text(f"{params}.xdsHost"), config.number(f"{params}.xdsPort")),
        api_type=_API_TYPES[config.text("xdsServer.protocol")],
        connect_timeout=format_seconds(config.seconds(f"{params}.xdsConnectTimeout")),
        admin_address=config.text(f"{params}.adminAddress"),
        admin_port=config.number(f"{params}.adminPort"),
        admin_log=config.text(f"{params}.adminAccessLogPath"),
        root=root,
    )


def format_seconds(seconds: float) -> str:
    """A duration as proto JSON has it."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    try:
        return parse_hosts(text, port)
    except ValueError as error:
        raise ConfigError(
            f"Invalid configuration: Bootstrap Server validation failed: Params validation failed: XdsHost {error} "
            "(bootstrapServer.params.xdsHost)"
        ) from None


def bootstrap_yaml(
    proxy: Proxy,
    dataplane: DataplaneSpec,
    params: BootstrapParams,
    admin_port: int,
    token_path: str,
    log_pipe: str,
    log_files: bool = False,
    fragments: Iterable[BootstrapFragment] = (),
    ipv6: bool = False,
    tells_serving: bool = False,
) -> str:
    """The bootstrap of one proxy, as YAML with camelCase keys. ``admin_port`` 0: as the parameters say.

    ``fragments`` are what plugins add, each by a name of its own.
    """
    port = admin_port or params.admin_port
    told: dict[str, str | int] = {
        ADMIN_PORT: port,
        TOKEN_PATH: token_path,
        LOG_PIPE: log_pipe,
        LOG_FILES: "true" if log_files else "",
        IPV6: "true" if ipv6 else "",
        TELLS_SERVING: "true" if tells_serving else "",
    }
    document: dict[str, Any] = {
        "node": _node(proxy, dataplane, told),
        "dynamicResources": _dynamic_resources(params, token_path),
    }
    document |= _merged(list(fragments))
    if port:
        document["admin"] = _admin(params, port)
    return yaml.dump(_quoted(document), Dumper=_Dumper, width=2**31, allow_unicode=False)


class _Text(str):
    """Text that YAML has to put in quotes: Envoy reads a plain ``y`` as a flag and ``012`` as a number."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), '"')
)


def _quoted(value: Any) -> Any:
    """The same data, with a mark on every text that asks for quotes; keys are ours and stay plain."""
    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return _Text(value) if isinstance(value, str) else value


def _node(proxy: Proxy, dataplane: DataplaneSpec, told: dict[str, str | int]) -> dict[str, Any]:
    metadata = {key: str(value) for key, value in told.items() if value}
    services = dataplane.services()
    node: dict[str, Any] = {"id": str(proxy), "cluster": services[0] if services else "unknown"}
    return {**node, "metadata": metadata} if metadata else node


def _admin(params: BootstrapParams, port: int) -> dict[str, Any]:
    log = {"@type": _TYPE + "access_loggers.file.v3.FileAccessLog", "path": params.admin_log}
    return {
        "accessLog": [{"name": "envoy.access_loggers.file", "typedConfig": log}],
        "address": {"socketAddress": {"address": params.admin_address, "portValue": port}},
    }


def _dynamic_resources(params: BootstrapParams, token_path: str) -> dict[str, Any]:
    """Clusters and listeners over one ADS stream, whose first message alone carries the node."""
    plain = {"envoyGrpc": {"clusterName": ADS_CLUSTER}}
    service = {"googleGrpc": _google_grpc(params, token_path)} if params.root else plain
    return {
        "adsConfig": {
            "apiType": params.api_type,
            "transportApiVersion": "V3",
            "setNodeOnFirstMessageOnly": True,
            "grpcServices": [service],
        },
        "cdsConfig": {"ads": {}, "resourceApiVersion": "V3"},
        "ldsConfig": {"ads": {}, "resourceApiVersion": "V3"},
    }


def grpc_target(hosts: tuple[tuple[str, int], ...]) -> str:
    """Control planes as a target of gRPC: several addresses of one version of IP fail over to each other.

    Of any other list only the first one is known to the proxy, for such a target names one.
    """
    texts = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts]
    versions = {_ip_version(host) for host, _ in hosts}
    if len(hosts) == 1 or len(versions) > 1 or 0 in versions:
        return texts[0]
    return f"ipv{versions.pop()}:" + ",".join(texts)


def channel_args(target: str) -> dict[str, int | str]:
    """How a proxy's channel to ``target`` behaves, for ADS and SDS alike: arguments of gRPC by name.

    ``grpc.default_authority`` says whose certificate is wanted of a target with several addresses, the first
    one's. Without it gRPC takes the whole list for the name of the server, and no stream comes about.
    """
    first, comma, _ = target.removeprefix("ipv4:").removeprefix("ipv6:").partition(",")
    return {**_CHANNEL_ARGS, **({"grpc.default_authority": first} if comma else {})}


def _ip_version(host: str) -> int:
    """4 or 6; 0 for a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0


def _google_grpc(params: BootstrapParams, token_path: str) -> dict[str, Any]:
    """TLS to the control plane, with the dataplane token, if there is one, read from its file."""
    target = grpc_target(params.hosts)
    args = {
        name: {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}
        for name, value in channel_args(target).items()
    }
    grpc: dict[str, Any] = {
        "targetUri": target,
        "statPrefix": "ads",
        "channelCredentials": {"sslCredentials": {"rootCerts": {"inlineString": params.root}}},
        "channelArgs": {"args": args},
    }
    if token_path:
        config = {"@type": _FILE_CREDENTIALS_TYPE, "secretData": {"filename": token_path}}
        plugin = {"name": _FILE_CREDENTIALS, "typedConfig": config}
        grpc |= {"credentialsFactoryName": _FILE_CREDENTIALS, "callCredentials": [{"fromPlugin": plugin}]}
    return grpc


def _merged(fragments: list[BootstrapFragment]) -> dict[str, Any]:
    """The parts of the bootstrap that plugins add to; it leaves out those that nobody adds to."""
    clusters = [{"name": part.name, **part.config} for part in fragments if isinstance(part, StaticCluster)]
    sinks = [
        {"name": part.name, "typedConfig": dict(part.config)}
        for part in fragments
        if isinstance(part, StatsSink)
    ]
    tags = [_stats_tag(part) for part in fragments if isinstance(part, StatsTag)]
    return {
        **({"staticResources": {"clusters": clusters}} if clusters else {}),
        **({"statsSinks": sinks} if sinks else {}),
        **({"statsConfig": {"statsTags": tags}} if tags else {}),
    }


def _stats_tag(tag: StatsTag) -> dict[str, Any]:
    said = {"regex": tag.regex} if tag.regex else {"fixedValue": tag.fixed_value}
    return {"tagName": tag.name, **said}


def ads_cluster(params: BootstrapParams) -> StaticCluster:
    """The control planes as a cluster of their own, for an Envoy that speaks with them without TLS."""
    endpoints = [
        {"endpoint": {"address": {"socketAddress": {"address": host, "portValue": port}}}}
        for host, port in params.hosts
    ]
    http = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {
        "@type": f"type.googleapis.com/{http}",
        "explicitHttpConfig": {"http2ProtocolOptions": {"connectionKeepalive": dict(_PLAIN_KEEPALIVE)}},
    }
    timeout = {"connectTimeout": params.connect_timeout} if params.connect_timeout != "0s" else {}
    config: dict[str, Any] = {
        "type": "STRICT_DNS",
        "dnsLookupFamily": "ALL",
        **timeout,  # Envoy takes no zero; without one it waits for 5 s
        "typedExtensionProtocolOptions": {http: http2},
        "upstreamConnectionOptions": {"tcpKeepalive": {}},
        "loadAssignment": {"clusterName": ADS_CLUSTER, "endpoints": [{"lbEndpoints": endpoints}]},
    }
    return StaticCluster(ADS_CLUSTER, config)
