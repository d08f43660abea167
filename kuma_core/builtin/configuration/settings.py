"""Every configuration key that the kernel owns, in the order of validation.

It reads and checks keys of parts that are still to come, too, so that a file of Kuma 0.3.1 loads as it
is. What values may not be is in ``checks``, what follows from other values in ``autoconfiguration``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kuma_core.builtin.configuration.autoconfiguration import autoconfigured as autoconfigured
from kuma_core.builtin.configuration.checks import (
    RULES,
    Bounds,
    each_host,
    folder,
    host,
    hosts,
    interface,
    ip_address,
    log_levels,
    not_negative,
    one_of,
    origins,
    port,
    present,
    socket_mode,
    tls_mode,
)
from kuma_core.config import DURATION, FLAG, NUMBER, TEXT, TEXTS, Check, Setting, ValueType
from kuma_core.durations import HOUR, MILLISECOND, MINUTE, SECOND
from kuma_core.log_formats import FORMATS

DEFAULT_MESH = "type: Mesh\nname: default\nmtls:\n  ca: {}\n  enabled: false\n"
MIB = 1024 * 1024
DAY = 24 * HOUR

_MODES = {"require": "verifyNone", "verify-ca": "verifyCa", "verify-full": "verifyFull"}
"""What the defaults file of 0.3.1 calls the modes of TLS."""

_TLS_MODE = replace(
    TEXT,
    from_yaml=lambda value: _MODES.get(value, value) if isinstance(value, str) else TEXT.from_yaml(value),
    from_text=lambda text: _MODES.get(text, text),
)


def _keys(section: str, path: str, env: str, *rows: tuple[Any, ...]) -> list[Setting]:
    """Settings of one section: rows of (key, end of the variable, type, default, help[, check])."""
    return [
        Setting(f"{path}.{key}", f"{env}_{end}", default, type_, help_, section, *rest)
        for key, end, type_, default, help_, *rest in rows
    ]


def _admin(section: str, path: str, env: str, note: str = "") -> list[Setting]:
    """Where the admin server listens; it is the same in its deprecated spelling."""
    local, public = f"{section} validation failed: Local", f"{section} validation failed: Public"
    return [
        *_keys(
            local,
            f"{path}.local",
            f"{env}_LOCAL",
            ("port", "PORT", NUMBER, 5679, f"{note}Port of the admin API on loopback.", port()),
        ),
        *_keys(
            public,
            f"{path}.public",
            f"{env}_PUBLIC",
            (
                "enabled",
                "ENABLED",
                FLAG,
                False,
                f"{note}Serve the admin API over HTTPS with client certificates.",
            ),
            ("tlsCertFile", "TLS_CERT_FILE", TEXT, "", f"{note}Certificate of the server, PEM."),
            ("tlsKeyFile", "TLS_KEY_FILE", TEXT, "", f"{note}Key of the server, PEM."),
            (
                "interface",
                "INTERFACE",
                TEXT,
                "",
                f"{note}The address to listen on.",
                interface("Interface"),
            ),
            ("port", "PORT", NUMBER, 0, f"{note}0: the number of the local port.", port()),
            (
                "clientCertsDir",
                "CLIENT_CERTS_DIR",
                TEXT,
                "",
                f"{note}Folder with the certificates of clients, *.pem.",
            ),
        ),
    ]


def _text(section: str, path: str, env: str, default: str, help_: str, check: Check | None = None) -> Setting:
    return Setting(path, env, default, TEXT, help_, section, check)


_CONNECT_TIMEOUT = Bounds("XdsConnectTimeout", MILLISECOND, HOUR, positive=False)


def _connect_timeout(value: int) -> str | None:
    """None at all is Envoy's own."""
    if value == 0:
        return None
    return "XdsConnectTimeout cannot be negative" if value < 0 else _CONNECT_TIMEOUT(value)


def _one(
    section: str, path: str, env: str, type_: ValueType, default: Any, help_: str, check: Check | None = None
) -> Setting:
    return Setting(path, env, default, type_, help_, section, check)


_OLD = "Deprecated, use adminServer. "
_PARAMS = "Bootstrap Server validation failed: Params"
_TLS = "Store validation failed: Postgres validation failed: TLS"
_POSTGRES = "Store validation failed: Postgres"

_TABLE: tuple[Setting, ...] = (
    *_keys(
        "Xds Server",
        "xdsServer",
        "KUMA_XDS_SERVER",
        ("grpcPort", "GRPC_PORT", NUMBER, 5678, "Port of the ADS server.", not_negative("GrpcPort")),
        (
            "diagnosticsPort",
            "DIAGNOSTICS_PORT",
            NUMBER,
            5680,
            "Port of /healthy, /ready and /metrics.",
            not_negative("DiagnosticPort"),
        ),
        (
            "dataplaneConfigurationRefreshInterval",
            "DATAPLANE_CONFIGURATION_REFRESH_INTERVAL",
            DURATION,
            SECOND,
            "The longest time for which a burst of changes is gathered.",
            Bounds("DataplaneConfigurationRefreshInterval", MILLISECOND, 10 * MINUTE),
        ),
        (
            "dataplaneStatusFlushInterval",
            "DATAPLANE_STATUS_FLUSH_INTERVAL",
            DURATION,
            SECOND,
            "How often the status of dataplanes is stored at most.",
            Bounds("DataplaneStatusFlushInterval", 10 * MILLISECOND, 10 * MINUTE),
        ),
        (
            "protocol",
            "PROTOCOL",
            TEXT,
            "delta",
            "The variant of xDS that a bootstrap asks for: delta or sotw.",
            one_of("Protocol should be either delta or sotw", "delta", "sotw"),
        ),
        ("tlsEnabled", "TLS_ENABLED", FLAG, True, "Speak TLS on the ADS port, as on the SDS port."),
        (
            "endpoints",
            "ENDPOINTS",
            TEXT,
            "serving",
            "Which dataplanes are endpoints for others: serving (from when an instance is there until it leaves) or "
            "registered (from when its Dataplane is applied until that is deleted).",
            one_of("Endpoints should be either serving or registered", "serving", "registered"),
        ),
    ),
    *_keys(
        "Bootstrap Server",
        "bootstrapServer",
        "KUMA_BOOTSTRAP_SERVER",
        ("port", "PORT", NUMBER, 5682, "Port of the bootstrap server.", port()),
    ),
    *_keys(
        _PARAMS,
        "bootstrapServer.params",
        "KUMA_BOOTSTRAP_SERVER_PARAMS",
        ("adminAddress", "ADMIN_ADDRESS", TEXT, "127.0.0.1", "Address of Envoy's admin API.", ip_address),
        ("adminPort", "ADMIN_PORT", NUMBER, 0, "Port of Envoy's admin API; 0: none.", port("AdminPort")),
        (
            "adminAccessLogPath",
            "ADMIN_ACCESS_LOG_PATH",
            TEXT,
            "/dev/null",
            "Access log of Envoy's admin API.",
            present("AdminAccessLogPath cannot be empty"),
        ),
        (
            "xdsHost",
            "XDS_HOST",
            TEXT,
            "",
            "Where proxies find the control plane: host[:port], several separated by commas. "
            "Empty: general.advertisedHostname.",
            hosts("XdsHost"),
        ),
        (
            "xdsPort",
            "XDS_PORT",
            NUMBER,
            0,
            "Port for hosts without one; 0: xdsServer.grpcPort.",
            port("XdsPort"),
        ),
        (
            "xdsConnectTimeout",
            "XDS_CONNECT_TIMEOUT",
            DURATION,
            SECOND,
            f"How long a proxy waits for a connection to the control plane: {_CONNECT_TIMEOUT}; 0: 5s.",
            _connect_timeout,
        ),
    ),
    *_keys(
        "SDS Server",
        "sdsServer",
        "KUMA_SDS_SERVER",
        ("grpcPort", "GRPC_PORT", NUMBER, 5677, "Port of the SDS server.", not_negative("GrpcPort")),
        ("tlsCertFile", "TLS_CERT_FILE", TEXT, "", "Certificate of the SDS server, PEM."),
        ("tlsKeyFile", "TLS_KEY_FILE", TEXT, "", "Key of the SDS server, PEM."),
    ),
    _one(
        "Dataplane Token Server",
        "dataplaneTokenServer.enabled",
        "KUMA_DATAPLANE_TOKEN_SERVER_ENABLED",
        FLAG,
        True,
        f"{_OLD}Issue and verify dataplane tokens.",
    ),
    *_admin("Dataplane Token Server", "dataplaneTokenServer", "KUMA_DATAPLANE_TOKEN_SERVER", _OLD),
    *_keys(
        "Monitoring Assignment Server",
        "monitoringAssignmentServer",
        "KUMA_MONITORING_ASSIGNMENT_SERVER",
        ("grpcPort", "GRPC_PORT", NUMBER, 5676, "Without effect yet.", port(".GrpcPort")),
        (
            "assignmentRefreshInterval",
            "ASSIGNMENT_REFRESH_INTERVAL",
            DURATION,
            SECOND,
            "Without effect yet.",
            Bounds(".AssignmentRefreshInterval", MILLISECOND, DAY),
        ),
    ),
    Setting(
        "adminServer.apis.dataplaneToken.enabled",
        "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED",
        True,
        FLAG,
        "Issue and verify dataplane tokens.",
        "Admin Server validation failed: Apis",
        aliases=("KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED",),
    ),
    _one(
        "Admin Server validation failed: Apis",
        "adminServer.apis.dataplaneToken.requireServices",
        "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_REQUIRE_SERVICES",
        FLAG,
        False,
        "Make no dataplane token that does not say for which services a proxy may speak.",
    ),
    *_admin("Admin Server", "adminServer", "KUMA_ADMIN_SERVER"),
    _one(
        "Admin Server validation failed: Local",
        "adminServer.local.anyUser",
        "KUMA_ADMIN_SERVER_LOCAL_ANY_USER",
        FLAG,
        True,
        "Issue tokens and manage authorities on loopback for every user of the machine; secrets never leave there.",
    ),
    *_keys(
        "Admin Server validation failed: Socket",
        "adminServer.socket",
        "KUMA_ADMIN_SERVER_SOCKET",
        (
            "path",
            "PATH",
            TEXT,
            "",
            "Unix socket of the admin API, which also hands out secrets; none: there is no socket. Empty: "
            "admin-PORT.sock in the folder of systemd, in /run/kuma-cp, or in the user's own folder.",
        ),
        ("group", "GROUP", TEXT, "", "Group of the socket, a name or a number; empty: that of kuma-cp."),
        (
            "mode",
            "MODE",
            TEXT,
            "0600",
            "Who may connect to the socket: 0600 its user, 0660 its group too.",
            socket_mode,
        ),
    ),
    _text(
        "Environment",
        "environment",
        "KUMA_ENVIRONMENT",
        "universal",
        "universal or kubernetes.",
        one_of("Environment should be either kubernetes or universal", "universal", "kubernetes"),
    ),
    _text(
        "General",
        "general.advertisedHostname",
        "KUMA_GENERAL_ADVERTISED_HOSTNAME",
        "localhost",
        "The name by which others reach this control plane.",
        host("AdvertisedHostname"),
    ),
    _text("Store", "store.type", "KUMA_STORE_TYPE", "memory", "The store: memory, postgres, kubernetes, …"),
    _text(
        "Store validation failed: Encryption",
        "store.encryption.keyFile",
        "KUMA_STORE_ENCRYPTION_KEY_FILE",
        "",
        "File of the keys that encrypt secrets in the store. Empty: they are stored in the clear.",
    ),
    _text(
        "Store validation failed: Kubernetes",
        "store.kubernetes.systemNamespace",
        "KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE",
        "kuma-system",
        "Namespace of the control plane's own objects.",
        present("SystemNamespace should not be empty"),
    ),
    *_keys(
        _POSTGRES,
        "store.postgres",
        "KUMA_STORE_POSTGRES",
        ("host", "HOST", TEXT, "127.0.0.1", "Host of the database.", present("Host should not be empty")),
        ("port", "PORT", NUMBER, 15432, "Port of the database.", not_negative("Port")),
        ("user", "USER", TEXT, "kuma", "User of the database.", present("User should not be empty")),
    ),
    Setting(
        "store.postgres.password",
        "KUMA_STORE_POSTGRES_PASSWORD",
        "kuma",
        TEXT,
        "Password of the database's user.",
        _POSTGRES,
        present("Password should not be empty"),
        secret=True,
    ),
    *_keys(
        _POSTGRES,
        "store.postgres",
        "KUMA_STORE_POSTGRES",
        ("dbName", "DB_NAME", TEXT, "kuma", "Name of the database.", present("DbName should not be empty")),
        (
            "connectionTimeout",
            "CONNECTION_TIMEOUT",
            NUMBER,
            5,
            "In seconds.",
            Bounds("ConnectionTimeout", 1, 3600, str),
        ),
    ),
    *_keys(
        _TLS,
        "store.postgres.tls",
        "KUMA_STORE_POSTGRES_TLS",
        ("mode", "MODE", _TLS_MODE, "disable", "disable, verifyNone, verifyCa or verifyFull.", tls_mode),
        ("certPath", "CERT_PATH", TEXT, "", "Certificate of the client."),
        ("keyPath", "KEY_PATH", TEXT, "", "Key of the client."),
    ),
    Setting(
        "store.postgres.tls.caPath",
        "KUMA_STORE_POSTGRES_TLS_CA_PATH",
        "",
        TEXT,
        "Authority that signed the server's certificate; needed for verifyCa and verifyFull.",
        _TLS,
        aliases=("KUMA_STORE_POSTGRES_TLS_ROOT_CERT_PATH",),
    ),
    *_keys(
        "ApiServer",
        "apiServer",
        "KUMA_API_SERVER",
        ("port", "PORT", NUMBER, 5681, "Port of the REST API.", not_negative("Port")),
        (
            "interface",
            "INTERFACE",
            TEXT,
            "",
            "Address that the REST API listens on; empty: all.",
            interface("Interface"),
        ),
        ("readOnly", "READ_ONLY", FLAG, False, "Refuse every write over REST."),
        (
            "corsAllowedDomains",
            "CORS_ALLOWED_DOMAINS",
            TEXTS,
            (".*",),
            "Origins whose web pages may read; those that are named outright may write, too. none: nobody.",
            origins,
        ),
        (
            "allowedHosts",
            "ALLOWED_HOSTS",
            TEXTS,
            (),
            "Names by which web pages may call the control plane, beside IP addresses, localhost and "
            "general.advertisedHostname.",
            each_host("AllowedHosts"),
        ),
        (
            "maxBodyBytes",
            "MAX_BODY_BYTES",
            NUMBER,
            MIB,
            "The largest body that the REST API takes.",
            Bounds("MaxBodyBytes", 1, 1024 * MIB, str),
        ),
    ),
    _one(
        "ApiServer",
        "apiServer.auth.mode",
        "KUMA_API_SERVER_AUTH_MODE",
        TEXT,
        "localhostIsAdmin",
        "Who may do what without a credential. localhostIsAdmin: who asks from this machine everything, everybody else "
        "may read; token: nothing but what is public; open: everybody everything, as in Kuma 0.3.1.",
        one_of("Mode should be localhostIsAdmin, token or open", "localhostIsAdmin", "token", "open"),
    ),
    *_keys(
        "ApiServer validation failed: Https",
        "apiServer.https",
        "KUMA_API_SERVER_HTTPS",
        (
            "enabled",
            "ENABLED",
            FLAG,
            True,
            "Serve the REST API, and what users may of the admin API, over HTTPS, too.",
        ),
        (
            "port",
            "PORT",
            NUMBER,
            5686,
            "Port of the REST API over HTTPS, on the interface of apiServer.",
            port(),
        ),
        (
            "tlsCertFile",
            "TLS_CERT_FILE",
            TEXT,
            "",
            "Certificate of the server, PEM. Empty: the control plane's own, as 5677 and 5678 have it.",
        ),
        ("tlsKeyFile", "TLS_KEY_FILE", TEXT, "", "Key of the server, PEM."),
        (
            "clientCertsDir",
            "CLIENT_CERTS_DIR",
            TEXT,
            "",
            "Folder with the certificates of clients that count as admins, *.pem. Empty: adminServer.public's.",
        ),
    ),
    _one(
        "Discovery",
        "discovery.universal.pollingInterval",
        "KUMA_DISCOVERY_UNIVERSAL_POLLING_INTERVAL",
        DURATION,
        SECOND,
        "Without effect: changes are noticed, not polled.",
        Bounds("PollingInterval", MILLISECOND, DAY),
    ),
    *_keys(
        "Runtime",
        "runtime.kubernetes.admissionServer",
        "KUMA_KUBERNETES_ADMISSION_SERVER",
        ("address", "ADDRESS", TEXT, "", "Kubernetes only."),
        ("port", "PORT", NUMBER, 5443, "Kubernetes only.", port()),
        ("certDir", "CERT_DIR", TEXT, "", "Kubernetes only."),
    ),
    _one(
        "CaDefaults",
        "caDefaults.leafLifetime",
        "KUMA_CA_DEFAULTS_LEAF_LIFETIME",
        DURATION,
        90 * 24 * 3600 * SECOND,
        "How long the certificate of a proxy lives; it is renewed after two thirds of that.",
        Bounds("LeafLifetime", SECOND, 3650 * DAY),
    ),
    _one(
        "CaDefaults",
        "caDefaults.rotationTimeout",
        "KUMA_CA_DEFAULTS_ROTATION_TIMEOUT",
        DURATION,
        600 * SECOND,
        "How long a rotation waits for proxies that do not take the new root; then it signs without them.",
        Bounds("RotationTimeout", SECOND, 365 * DAY),
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
    _one(
        "Reports",
        "reports.enabled",
        "KUMA_REPORTS_ENABLED",
        FLAG,
        True,
        "Without effect: nothing is reported.",
    ),
    *_keys(
        "GuiServer",
        "guiServer",
        "KUMA_GUI_SERVER",
        ("port", "PORT", NUMBER, 5683, "Port of the GUI.", port()),
        (
            "apiServerUrl",
            "API_SERVER_URL",
            TEXT,
            "",
            "Without effect: the GUI hands requests on within the process.",
        ),
    ),
    *_keys(
        "EventsServer",
        "eventsServer",
        "KUMA_EVENTS_SERVER",
        ("port", "PORT", NUMBER, 5685, "Port of GET /events, on the interface of apiServer.", port()),
    ),
    *_keys(
        "Logging",
        "logging",
        "KUMA_LOGGING",
        (
            "level",
            "LEVEL",
            TEXT,
            "info",
            "Which lines are logged: off, error, warning, info or debug; and of components, as in info,xds=debug. "
            "--log-level wins.",
            log_levels,
        ),
        (
            "format",
            "FORMAT",
            TEXT,
            "console",
            "How a line is written: console, logfmt or json. --log-format wins.",
            one_of("Format should be console, logfmt or json", *FORMATS),
        ),
        (
            "directory",
            "DIRECTORY",
            TEXT,
            "",
            "Folder on the machines of proxies below which files of access logs have to be. Empty: anywhere.",
            folder,
        ),
    ),
)

_ONE_STORE = {f"store.{name}.": ("store.type", name) for name in ("postgres", "kubernetes")}
"""The section of a store counts only if the operator chose that store."""


def _complete(setting: Setting) -> Setting:
    """A setting of the table with its rule, the condition of its section, and its bounds where it is explained."""
    condition = next((c for prefix, c in _ONE_STORE.items() if setting.path.startswith(prefix)), None)
    bounds = f" {str(setting.check).capitalize()}." if isinstance(setting.check, Bounds) else ""
    help_ = setting.help + bounds
    return replace(setting, rule=RULES.get(setting.path), checked_if=condition, help=help_)


SETTINGS: tuple[Setting, ...] = tuple(map(_complete, _TABLE))
"""In the order of validation: the error names the first broken rule."""
