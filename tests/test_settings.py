"""The kernel's own keys, and what follows from their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kuma_core.builtin.configuration import checks
from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.builtin.configuration.settings import DEFAULT_MESH, SETTINGS
from kuma_core.config import DURATION, Config, build_config
from kuma_core.errors import ConfigError


def effective(document: Mapping[str, Any] | None = None, **environ: str) -> Config:
    return autoconfigured(build_config(SETTINGS, document or {}, "kuma-cp.yaml", environ))


DEFAULTS: dict[str, Any] = {
    "environment": "universal",
    "general.advertisedHostname": "localhost",
    "store.type": "memory",
    "store.kubernetes.systemNamespace": "kuma-system",
    "store.postgres.host": "127.0.0.1",
    "store.postgres.port": 15432,
    "store.postgres.user": "kuma",
    "store.postgres.password": "kuma",
    "store.postgres.dbName": "kuma",
    "store.postgres.connectionTimeout": 5,
    "store.postgres.tls.mode": "disable",
    "bootstrapServer.port": 5682,
    "bootstrapServer.params.adminAddress": "127.0.0.1",
    "bootstrapServer.params.adminPort": 0,
    "bootstrapServer.params.adminAccessLogPath": "/dev/null",
    "bootstrapServer.params.xdsConnectTimeout": 1_000_000_000,
    "xdsServer.grpcPort": 5678,
    "xdsServer.diagnosticsPort": 5680,
    "xdsServer.dataplaneConfigurationRefreshInterval": 1_000_000_000,
    "xdsServer.dataplaneStatusFlushInterval": 1_000_000_000,
    "sdsServer.grpcPort": 5677,
    "adminServer.apis.dataplaneToken.enabled": True,
    "adminServer.local.port": 5679,
    "adminServer.public.enabled": False,
    "dataplaneTokenServer.enabled": True,
    "apiServer.port": 5681,
    "apiServer.readOnly": False,
    "apiServer.corsAllowedDomains": (".*",),
    "guiServer.port": 5683,
    "eventsServer.port": 5685,
    "runtime.kubernetes.admissionServer.port": 5443,
    "defaults.mesh": DEFAULT_MESH,
    "reports.enabled": True,
    "discovery.universal.pollingInterval": 1_000_000_000,
}


@pytest.mark.parametrize("path", DEFAULTS)
def test_the_defaults(path: str) -> None:
    assert {item.path: item.default for item in SETTINGS}[path] == DEFAULTS[path]


RULES = [
    (
        "KUMA_ENVIRONMENT",
        "moon",
        "Environment validation failed: Environment should be either kuber",
    ),
    (
        "KUMA_BOOTSTRAP_SERVER_PORT",
        "65536",
        "Bootstrap Server validation failed: Port must be in the",
    ),
    (
        "KUMA_BOOTSTRAP_SERVER_PORT",
        "-1",
        "Bootstrap Server validation failed: Port must be in the",
    ),
    ("KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ADDRESS", "", "AdminAddress cannot be empty"),
    ("KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ADDRESS", "host", "AdminAddress should be a valid IP address"),
    ("KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_PORT", "70000", "AdminPort must be in the range [0, 65535]"),
    ("KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ACCESS_LOG_PATH", "", "AdminAccessLogPath cannot be empty"),
    ("KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT", "70000", "must be in the range [0, 65535]"),
    ("KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_CONNECT_TIMEOUT", "-1s", "XdsConnectTimeout cannot be negative"),
    ("KUMA_XDS_SERVER_GRPC_PORT", "-1", "Xds Server validation failed: GrpcPort cannot be negative"),
    ("KUMA_XDS_SERVER_DIAGNOSTICS_PORT", "-1", "DiagnosticPort cannot be negative"),
    ("KUMA_XDS_SERVER_DATAPLANE_CONFIGURATION_REFRESH_INTERVAL", "0", "RefreshInterval must be positive"),
    ("KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL", "-1s", "FlushInterval must be positive"),
    ("KUMA_SDS_SERVER_GRPC_PORT", "-1", "SDS Server validation failed: GrpcPort cannot be negative"),
    (
        "KUMA_ADMIN_SERVER_LOCAL_PORT",
        "65536",
        "Admin Server validation failed: Local validation failed",
    ),
    (
        "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT",
        "65536",
        "Dataplane Token Server validation failed: Local validation",
    ),
    ("KUMA_API_SERVER_PORT", "-1", "ApiServer validation failed: Port cannot be negative"),
    ("KUMA_GUI_SERVER_PORT", "65536", "GuiServer validation failed: Port must be in the range [0, 65535]"),
    (
        "KUMA_KUBERNETES_ADMISSION_SERVER_PORT",
        "65536",
        "Runtime validation failed: Port must be in",
    ),
]


@pytest.mark.parametrize(("name", "text", "said"), RULES, ids=[f"{rule[0]}={rule[1]}" for rule in RULES])
def test_the_rules(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        effective(**{name: text})
    assert str(caught.value).startswith("Invalid configuration: ")
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_every_port_is_a_port() -> None:
    ports = [item for item in SETTINGS if item.path.lower().endswith("port")]
    assert len(ports) > 10
    for item in ports:
        assert item.check
        assert item.check(-1), item.path
        assert item.check(65536), item.path
        assert not item.check(0), item.path
        assert not item.check(65535), item.path


def test_no_default_breaks_its_rule() -> None:
    assert [item.path for item in SETTINGS if item.check and item.check(item.default)] == []


def test_the_variables_of_the_kernel_are_named_by_the_scheme() -> None:
    assert [item.path for item in SETTINGS if not item.env.startswith("KUMA_")] == []


def test_the_mesh_of_the_first_start_by_its_undocumented_variable() -> None:
    assert effective(DEFAULTS_MESH="type: Mesh").text("defaults.mesh") == "type: Mesh"


# -- what follows from other values


def test_autoconfiguration() -> None:
    config = effective(KUMA_GENERAL_ADVERTISED_HOSTNAME="cp.orchard", KUMA_XDS_SERVER_GRPC_PORT="15678")
    params = "bootstrapServer.params"
    assert config.text(f"{params}.xdsHost") == "cp.orchard"
    assert config.number(f"{params}.xdsPort") == 15678
    assert config.sources[f"{params}.xdsPort"] == "autoconfiguration"


def test_autoconfiguration_leaves_alone_what_was_said() -> None:
    document = {"bootstrapServer": {"params": {"xdsHost": "proxy.example", "xdsPort": 99}}}
    config = effective(document)
    assert config.text("bootstrapServer.params.xdsHost") == "proxy.example"
    assert config.number("bootstrapServer.params.xdsPort") == 99
    assert config.sources["bootstrapServer.params.xdsHost"] == "kuma-cp.yaml"


def test_the_environment_wins_and_the_rest_follows() -> None:
    document = {"apiServer": {"port": 7000}, "general": {"advertisedHostname": "cp.orchard"}}
    config = effective(document, KUMA_API_SERVER_PORT="7001")
    assert config.number("apiServer.port") == 7001
    assert config.text("bootstrapServer.params.xdsHost") == "cp.orchard"
    assert config.number("bootstrapServer.params.xdsPort") == 5678


# -- bounds

BOUNDS: dict[str, tuple[str, str, list[str]]] = {
    "xdsServer.dataplaneConfigurationRefreshInterval": ("1ms", "10m", ["1ns", "999us", "10m1ns", "-1s", "0"]),
    "xdsServer.dataplaneStatusFlushInterval": ("10ms", "10m", ["1ns", "9ms", "9223372036s", "-1s"]),
    "bootstrapServer.params.xdsConnectTimeout": ("1ms", "1h", ["1ns", "2h", "9223372036s", "-1ns"]),
    "monitoringAssignmentServer.assignmentRefreshInterval": ("1ms", "24h", ["1us", "9223372036s", "0s"]),
    "discovery.universal.pollingInterval": ("1ms", "24h", ["0s", "-5m", "9223372036s"]),
    "caDefaults.leafLifetime": ("1s", "87600h", ["999ms", "-1h", "87601h", "9223372036s"]),
    "caDefaults.rotationTimeout": ("1s", "8760h", ["1ns", "0", "8761h"]),
    "apiServer.maxBodyBytes": ("1", str(2**30), ["0", "-1", str(2**30 + 1), str(2**70)]),
}


def test_every_duration_has_bounds() -> None:
    assert {item.path for item in SETTINGS if item.type is DURATION} <= BOUNDS.keys()


@pytest.mark.parametrize("path", BOUNDS)
def test_bounds_are_kept_and_told(path: str) -> None:
    least, most, outside = BOUNDS[path]
    [setting] = [item for item in SETTINGS if item.path == path]
    for text in (least, most):
        assert effective(**{setting.env: text}).value(path) == setting.type.from_text(text)
    for text in outside:
        with pytest.raises(ConfigError) as caught:
            effective(**{setting.env: text})
        assert path in str(caught.value)
        if not text.startswith("-") or path != "bootstrapServer.params.xdsConnectTimeout":
            assert f"from {least}" in str(caught.value)
            assert f"to {most}" in str(caught.value)
    assert f"from {least}" in setting.help.lower()
    assert f"to {most}" in setting.help


def test_a_proxy_may_have_envoys_own_connect_timeout() -> None:
    name = "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_CONNECT_TIMEOUT"
    assert effective(**{name: "0s"}).seconds("bootstrapServer.params.xdsConnectTimeout") == 0


@pytest.mark.parametrize("text", ["0", "-1", "3601", str(2**70)])
def test_the_time_to_reach_a_database_has_bounds(text: str) -> None:
    with pytest.raises(ConfigError, match=r"ConnectionTimeout must be .*from 1 to 3600"):
        effective(KUMA_STORE_TYPE="postgres", KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT=text)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("KUMA_API_SERVER_INTERFACE", "nowhere host", 'Interface "nowhere host" is no host name'),
        (
            "KUMA_API_SERVER_INTERFACE",
            "127.0.0.1:5681",
            'Interface "127.0.0.1:5681" has a port; leave it out',
        ),
        ("KUMA_ADMIN_SERVER_PUBLIC_INTERFACE", "http://x", 'Interface "http://x" has a scheme; leave it out'),
        ("KUMA_API_SERVER_CORS_ALLOWED_DOMAINS", "(", '"(" is no regular expression'),
        ("KUMA_API_SERVER_CORS_ALLOWED_DOMAINS", "a,[", '"[" is no regular expression'),
    ],
)
def test_what_a_start_would_stumble_over_is_refused_before(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        effective(**{variable: value})
    assert said in str(caught.value)
    assert variable in str(caught.value)


@pytest.mark.parametrize("value", ["", "0.0.0.0", "::", "::1", "localhost", "kuma-cp.example"])
def test_a_server_may_listen_on_any_address_or_name(value: str) -> None:
    assert effective(KUMA_API_SERVER_INTERFACE=value).text("apiServer.interface") == value


@pytest.mark.parametrize(
    "value", ["logs", "/", "/var/../etc", "/var//log", "/var/log/", "/var/./log", "/var/\n", "//"]
)
def test_a_folder_that_is_not_what_it_looks_like(value: str) -> None:
    assert "should be an absolute path" in str(checks.folder(value))


@pytest.mark.parametrize("value", ["", "/var/log", "/var/log/k\u00fcma mesh", "/..a"])
def test_a_folder(value: str) -> None:
    assert checks.folder(value) is None
