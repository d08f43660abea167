"""Every configuration key that the kernel owns (API specification, 5.3), in the order of validation.

Keys of parts that are still to come are read and checked already, so that a file of Kuma 0.3.1 loads as it is.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from kuma_core.config import DURATION, FLAG, NUMBER, TEXT, TEXTS, Check, Config, Setting, ValueType

SECOND = 1_000_000_000
DEFAULT_MESH = "type: Mesh\nname: default\nmtls:\n  ca: {}\n  enabled: false\n"
MIB = 1024 * 1024


def _range(message: str) -> Check:
    return lambda value: None if 0 <= value <= 65535 else message


def _port(name: str = "Port") -> Check:
    return _range(f"{name} must be in the range [0, 65535]")


def _not_negative(name: str) -> Check:
    """A port whose message in the original speaks of negative numbers only."""
    return lambda value: (
        f"{name} cannot be negative" if value < 0 else _port(name)(value)
    )


def _positive(name: str) -> Check:
    return lambda value: None if value > 0 else f"{name} must be positive"


def _present(name: str) -> Check:
    return lambda value: None if value else f"{name} should not be empty"


def _one_of(message: str, *choices: str) -> Check:
    return lambda value: None if value in choices else message


def _ip_address(value: str) -> str | None:
    if not value:
        return "AdminAddress cannot be empty"
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "AdminAddress should be a valid IP address"
    return None


def _keys(section: str, path: str, env: str, *rows: tuple[Any, ...]) -> list[Setting]:
    """Settings of one section: rows of (key, end of the variable, type, default, help[, check])."""
    return [
        Setting(f"{path}.{key}", f"{env}_{end}", default, type_, help_, section, *rest)
        for key, end, type_, default, help_, *rest in rows
    ]


def _public_admin(section: str, path: str, env: str) -> list[Setting]:
    return _keys(
        section,
        f"{path}.public",
        f"{env}_PUBLIC",
        ("enabled", "ENABLED", FLAG, False, "Serve the admin API over HTTPS with client certificates."),
        ("interface", "INTERFACE", TEXT, "", "The address to listen on."),
        ("port", "PORT", NUMBER, 0, "0: the number of the local port.", _port()),
        ("tlsCertFile", "TLS_CERT_FILE", TEXT, "", "Certificate of the server, PEM."),
        ("tlsKeyFile", "TLS_KEY_FILE", TEXT, "", "Key of the server, PEM."),
        ("clientCertsDir", "CLIENT_CERTS_DIR", TEXT, "", "Folder with the certificates of clients, *.pem."),
    )


def _text(section: str, path: str, env: str, default: str, help_: str, check: Check | None = None) -> Setting:
    return Setting(path, env, default, TEXT, help_, section, check)


def _one(
    section: str, path: str, env: str, type_: ValueType, default: Any, help_: str, check: Check | None = None
) -> Setting:
    return Setting(path, env, default, type_, help_, section, check)


_PARAMS = "Bootstrap Server validation failed: Params"
_TLS = "Store validation failed: Postgres validation failed: TLS"
_POSTGRES = "Store validation failed: Postgres"

SETTINGS: tuple[Setting, ...] = (
    *_keys(
        "Xds Server",
        "xdsServer",
        "KUMA_XDS_SERVER",
        ("grpcPort", "GRPC_PORT", NUMBER, 5678, "Port of the ADS server.", _not_negative("GrpcPort")),
        (
            "diagnosticsPort",
            "DIAGNOSTICS_PORT",
            NUMBER,
            5680,
            "Port of /healthy, /ready and /metrics.",
            _not_negative("DiagnosticPort"),
        ),
        (
            "dataplaneConfigurationRefreshInterval",
            "DATAPLANE_CONFIGURATION_REFRESH_INTERVAL",
            DURATION,
            SECOND,
            "The longest time for which a burst of changes is gathered.",
            _positive("DataplaneConfigurationRefreshInterval"),
        ),
        (
            "dataplaneStatusFlushInterval",
            "DATAPLANE_STATUS_FLUSH_INTERVAL",
            DURATION,
            SECOND,
            "How often the status of dataplanes is stored at most.",
            _positive("DataplaneStatusFlushInterval"),
        ),
        (
            "protocol",
            "PROTOCOL",
            TEXT,
            "delta",
            "The variant of xDS that a bootstrap asks for: delta or sotw.",
            _one_of("Protocol should be either delta or sotw", "delta", "sotw"),
        ),
    ),
    *_keys(
        "Bootstrap Server",
        "bootstrapServer",
        "KUMA_BOOTSTRAP_SERVER",
        ("port", "PORT", NUMBER, 5682, "Port of the bootstrap server.", _port()),
    ),
    *_keys(
        _PARAMS,
        "bootstrapServer.params",
        "KUMA_BOOTSTRAP_SERVER_PARAMS",
        ("adminAddress", "ADMIN_ADDRESS", TEXT, "127.0.0.1", "Address of Envoy's admin API.", _ip_address),
        ("adminPort", "ADMIN_PORT", NUMBER, 0, "Port of Envoy's admin API; 0: none.", _port("AdminPort")),
        (
            "adminAccessLogPath",
            "ADMIN_ACCESS_LOG_PATH",
            TEXT,
            "/dev/null",
            "Access log of Envoy's admin API.",
            lambda value: None if value else "AdminAccessLogPath cannot be empty",
        ),
        (
            "xdsHost",
            "XDS_HOST",
            TEXT,
            "",
            "Where proxies find the control plane: host[:port], several separated by commas. "
            "Empty: general.advertisedHostname.",
        ),
        ("xdsPort", "XDS_PORT", NUMBER, 0, "Port for hosts without one; 0: xdsServer.grpcPort.", _port("XdsPort")),
        (
            "xdsConnectTimeout",
            "XDS_CONNECT_TIMEOUT",
            DURATION,
            SECOND,
            "How long a proxy waits for a connection to the control plane.",
            lambda value: None if value >= 0 else "XdsConnectTimeout cannot be negative",
        ),
    ),
    *_keys(
        "SDS Server",
        "sdsServer",
        "KUMA_SDS_SERVER",
        ("grpcPort", "GRPC_PORT", NUMBER, 5677, "Port of the SDS server.", _not_negative("GrpcPort")),
        ("tlsCertFile", "TLS_CERT_FILE", TEXT, "", "Certificate of the SDS server, PEM."),
        ("tlsKeyFile", "TLS_KEY_FILE", TEXT, "", "Key of the SDS server, PEM."),
    ),
    *_keys(
        "Dataplane Token Server",
        "dataplaneTokenServer",
        "KUMA_DATAPLANE_TOKEN_SERVER",
        ("enabled", "ENABLED", FLAG, True, "Deprecated: use adminServer."),
        ("local.port", "LOCAL_PORT", NUMBER, 5679, "Deprecated: use adminServer.local.port.", _port()),
    ),
    *_public_admin("Dataplane Token Server", "dataplaneTokenServer", "KUMA_DATAPLANE_TOKEN_SERVER"),
    *_keys(
        "Admin Server",
        "adminServer",
        "KUMA_ADMIN_SERVER",
        ("apis.dataplaneToken.enabled", "APIS_DATAPLANE_TOKEN_ENABLED", FLAG, True, "Issue dataplane tokens."),
        ("local.port", "LOCAL_PORT", NUMBER, 5679, "Port of the admin API on loopback.", _port()),
    ),
    *_public_admin("Admin Server", "adminServer", "KUMA_ADMIN_SERVER"),
    _text(
        "Environment",
        "environment",
        "KUMA_ENVIRONMENT",
        "universal",
        "universal or kubernetes.",
        _one_of("Environment should be either kubernetes or universal", "universal", "kubernetes"),
    ),
    _text(
        "General",
        "general.advertisedHostname",
        "KUMA_GENERAL_ADVERTISED_HOSTNAME",
        "localhost",
        "The name by which others reach this control plane.",
    ),
    _text("Store", "store.type", "KUMA_STORE_TYPE", "memory", "The store: memory, postgres, kubernetes, …"),
    _text(
        "Store validation failed: Kubernetes",
        "store.kubernetes.systemNamespace",
        "KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE",
        "kuma-system",
        "Namespace of the control plane's own objects.",
        _present("SystemNamespace"),
    ),
    *_keys(
        _POSTGRES,
        "store.postgres",
        "KUMA_STORE_POSTGRES",
        ("host", "HOST", TEXT, "127.0.0.1", "Host of the database.", _present("Host")),
        ("port", "PORT", NUMBER, 15432, "Port of the database.", _not_negative("Port")),
        ("user", "USER", TEXT, "kuma", "User of the database.", _present("User")),
        ("dbName", "DB_NAME", TEXT, "kuma", "Name of the database.", _present("DbName")),
        ("connectionTimeout", "CONNECTION_TIMEOUT", NUMBER, 5, "In seconds."),
    ),
    Setting(
        "store.postgres.password",
        "KUMA_STORE_POSTGRES_PASSWORD",
        "kuma",
        TEXT,
        "Password of the database's user.",
        _POSTGRES,
        _present("Password"),
        secret=True,
    ),
    *_keys(
        _TLS,
        "store.postgres.tls",
        "KUMA_STORE_POSTGRES_TLS",
        ("mode", "MODE", TEXT, "disable", "disable, verifyNone, verifyCa or verifyFull."),
        ("certPath", "CERT_PATH", TEXT, "", "Certificate of the client."),
        ("keyPath", "KEY_PATH", TEXT, "", "Key of the client."),
        ("caPath", "CA_PATH", TEXT, "", "Authority that signed the server's certificate."),
    ),
    *_keys(
        "ApiServer",
        "apiServer",
        "KUMA_API_SERVER",
        ("port", "PORT", NUMBER, 5681, "Port of the REST API.", _not_negative("Port")),
        ("interface", "INTERFACE", TEXT, "", "Address that the REST API listens on; empty: all."),
        ("readOnly", "READ_ONLY", FLAG, False, "Refuse every write over REST."),
        ("corsAllowedDomains", "CORS_ALLOWED_DOMAINS", TEXTS, (".*",), "Origins that browsers may come from."),
        (
            "maxBodyBytes",
            "MAX_BODY_BYTES",
            NUMBER,
            MIB,
            "The largest body that the REST API takes.",
            _positive("MaxBodyBytes"),
        ),
    ),
    _one(
        "Discovery",
        "discovery.universal.pollingInterval",
        "KUMA_DISCOVERY_UNIVERSAL_POLLING_INTERVAL",
        DURATION,
        SECOND,
        "Without effect: changes are noticed, not polled.",
    ),
    *_keys(
        "Runtime",
        "runtime.kubernetes.admissionServer",
        "KUMA_KUBERNETES_ADMISSION_SERVER",
        ("address", "ADDRESS", TEXT, "", "Kubernetes only."),
        ("port", "PORT", NUMBER, 5443, "Kubernetes only.", _port()),
        ("certDir", "CERT_DIR", TEXT, "", "Kubernetes only."),
    ),
    Setting(
        "defaults.mesh",
        "KUMA_DEFAULTS_MESH",
        DEFAULT_MESH,
        TEXT,
        "The mesh named default, as YAML, for the first start.",
        "Defaults",
        aliases=("DEFAULTS_MESH",),
    ),
    _one("Reports", "reports.enabled", "KUMA_REPORTS_ENABLED", FLAG, True, "Without effect: nothing is reported."),
    _one("GuiServer", "guiServer.port", "KUMA_GUI_SERVER_PORT", NUMBER, 5683, "Port of the GUI.", _port()),
)


def autoconfigured(config: Config) -> Config:
    """The configuration with what follows from other values (API specification, 5.4)."""
    params, changes = "bootstrapServer__params__", {}
    if not config.text("bootstrapServer.params.xdsHost"):
        changes[f"{params}xdsHost"] = config.text("general.advertisedHostname")
    if not config.number("bootstrapServer.params.xdsPort"):
        changes[f"{params}xdsPort"] = config.number("xdsServer.grpcPort")
    return config.replace("autoconfiguration", **changes)
