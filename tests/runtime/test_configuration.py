"""Rules between settings, autoconfiguration, and the effective configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.configuration.socket_path import default_path
from kuma_core.config import Config
from kuma_core.errors import ConfigError
from kuma_core.runtime.configuration import read_config
from kuma_core.testing.platform import make_catalog

CATALOG = make_catalog([kuma_store_memory])
PUBLIC = {
    "ENABLED": "true",
    "TLS_CERT_FILE": "c",
    "TLS_KEY_FILE": "k",
    "INTERFACE": "192.0.2.1",
    "CLIENT_CERTS_DIR": "d",
}


def effective(file: Path | None = None, **environ: str) -> Config:
    return read_config(CATALOG, str(file) if file else None, environ)


def refusal(file: Path | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        effective(file, **environ)
    return str(caught.value)


def public(prefix: str, **changes: str | None) -> dict[str, str]:
    values = {**PUBLIC, **changes}
    return {f"{prefix}_PUBLIC_{key}": value for key, value in values.items() if value is not None}


# -- rules between settings

TLS = "Store validation failed: Postgres validation failed: TLS validation failed: "

RULES: list[tuple[Mapping[str, str], str]] = [
    (
        {"KUMA_SDS_SERVER_TLS_KEY_FILE": "k"},
        "SDS Server validation failed: TlsCertFile cannot be empty if TlsKeyFile has been set",
    ),
    (
        {"KUMA_SDS_SERVER_TLS_CERT_FILE": "c"},
        "SDS Server validation failed: TlsKeyFile cannot be empty if TlsCertFile has been set",
    ),
    (
        {"KUMA_STORE_POSTGRES_TLS_KEY_PATH": "k"},
        TLS + "CertPath cannot be empty when KeyPath is provided",
    ),
    (
        {"KUMA_STORE_POSTGRES_TLS_CERT_PATH": "c"},
        TLS + "KeyPath cannot be empty when CertPath is provided",
    ),
    ({"KUMA_STORE_POSTGRES_TLS_MODE": "verifyCa"}, TLS + "CAPath cannot be empty"),
    ({"KUMA_STORE_POSTGRES_TLS_MODE": "verify-full"}, TLS + "CAPath cannot be empty"),
    ({"KUMA_STORE_POSTGRES_TLS_MODE": "prefer"}, TLS + "invalid mode: prefer"),
    ({"KUMA_STORE_POSTGRES_HOST": ""}, "Postgres validation failed: Host should not be empty"),
    ({"KUMA_STORE_POSTGRES_USER": ""}, "Postgres validation failed: User should not be empty"),
    ({"KUMA_STORE_POSTGRES_PASSWORD": ""}, "Postgres validation failed: Password should not be empty"),
    ({"KUMA_STORE_POSTGRES_DB_NAME": ""}, "Postgres validation failed: DbName should not be empty"),
    ({"KUMA_STORE_POSTGRES_PORT": "-1"}, "Postgres validation failed: Port cannot be negative"),
    (
        {
            "KUMA_DATAPLANE_TOKEN_SERVER_ENABLED": "false",
            "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_ENABLED": "true",
        },
        "Dataplane Token Server validation failed: Public.Enabled cannot be true when server is disabled.",
    ),
    (
        {"KUMA_ENVIRONMENT": "kubernetes"},
        "Runtime validation failed: CertDir should not be empty",
    ),
    (
        {"KUMA_MONITORING_ASSIGNMENT_SERVER_GRPC_PORT": "65536"},
        "Monitoring Assignment Server validation failed: .GrpcPort must be in the range [0, 65535]",
    ),
    (
        {"KUMA_MONITORING_ASSIGNMENT_SERVER_ASSIGNMENT_REFRESH_INTERVAL": "0s"},
        "Monitoring Assignment Server validation failed: .AssignmentRefreshInterval must be positive",
    ),
    (
        {"KUMA_STORE_TYPE": "mysql"},
        "Store validation failed: Type should be either postgres, kubernetes or memory",
    ),
    (
        {"KUMA_DEFAULTS_MESH": "mtls: 3"},
        "Defaults validation failed: Mesh is not valid: mtls: expected an object",
    ),
    ({"DEFAULTS_MESH": "- a"}, "Mesh is not valid: expected one YAML mapping"),
    ({"DEFAULTS_MESH": "type: Dataplane"}, 'Mesh is not valid: its type is "Dataplane"'),
    ({"DEFAULTS_MESH": "a: ["}, "Mesh is not valid: defaults.mesh, line "),
]


@pytest.mark.parametrize(("environ", "said"), RULES, ids=["+".join(environ.values()) for environ, _ in RULES])
def test_rules_between_settings(environ: Mapping[str, str], said: str) -> None:
    chosen = {"KUMA_STORE_TYPE": "postgres"} if any("POSTGRES" in name for name in environ) else {}
    message = refusal(**chosen, **environ)
    assert message.startswith("Invalid configuration: ")
    assert said in message
    assert any(name in message for name in environ) or "from default" in message


@pytest.mark.parametrize("mode", ["disable", "verifyNone", "verifyCa", "verifyFull"])
def test_modes_of_tls(mode: str) -> None:
    environ = {"KUMA_STORE_POSTGRES_TLS_MODE": mode, "KUMA_STORE_POSTGRES_TLS_CA_PATH": "ca"}
    config = effective(KUMA_STORE_TYPE="postgres", **environ)
    assert config.text("store.postgres.tls.mode") == mode


@pytest.mark.parametrize(
    ("alias", "mode"), [("require", "verifyNone"), ("verify-ca", "verifyCa"), ("verify-full", "verifyFull")]
)
def test_other_words_for_the_modes_of_tls(tmp_path: Path, alias: str, mode: str) -> None:
    root = {"KUMA_STORE_POSTGRES_TLS_ROOT_CERT_PATH": "ca"}
    by_variable = effective(KUMA_STORE_TYPE="postgres", KUMA_STORE_POSTGRES_TLS_MODE=alias, **root)
    file = tmp_path / "cp.yaml"
    file.write_text(f"store: {{type: postgres, postgres: {{tls: {{mode: {alias}}}}}}}\n")
    by_file = effective(file, **root)
    for config in (by_variable, by_file):
        assert config.text("store.postgres.tls.mode") == mode
        assert config.text("store.postgres.tls.caPath") == "ca"


def test_other_variables_for_tokens_and_the_default_mesh() -> None:
    old = {"KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED": "false", "DEFAULTS_MESH": "type: Mesh"}
    config = effective(**old)
    assert config.flag("adminServer.apis.dataplaneToken.enabled") is False
    assert config.text("defaults.mesh") == "type: Mesh"


def test_only_the_section_of_the_chosen_store_is_checked() -> None:
    environ = {"KUMA_STORE_POSTGRES_HOST": "", "KUMA_STORE_POSTGRES_TLS_MODE": "nonsense"}
    environ |= {"KUMA_STORE_POSTGRES_TLS_KEY_PATH": "k", "KUMA_STORE_KUBERNETES_SYSTEM_NAMESPACE": ""}
    assert effective(**environ).text("store.type") == "memory"
    assert "Kubernetes validation failed: SystemNamespace should not be empty" in refusal(
        KUMA_STORE_TYPE="kubernetes", **environ
    )
    assert "Host should not be empty" in refusal(KUMA_STORE_TYPE="postgres", **environ)


@pytest.mark.parametrize(
    ("prefix", "section"),
    [
        ("KUMA_ADMIN_SERVER", "Admin Server"),
        ("KUMA_DATAPLANE_TOKEN_SERVER", "Dataplane Token Server"),
    ],
)
def test_what_a_public_admin_server_needs(prefix: str, section: str) -> None:
    effective(**public(prefix))
    names = {
        "TLS_CERT_FILE": "TlsCertFile",
        "TLS_KEY_FILE": "TlsKeyFile",
        "INTERFACE": "Interface",
        "CLIENT_CERTS_DIR": "ClientCertsDir",
    }
    for key, name in names.items():
        said = refusal(**public(prefix, **{key: None}))
        start = f"Invalid configuration: {section} validation failed: Public validation failed: "
        assert said.startswith(f"{start}{name} cannot be empty if server is enabled ")


def test_the_order_of_validation() -> None:
    """All wrong at once; each repaired, the next section is told."""
    broken = {
        "Xds Server": ("KUMA_XDS_SERVER_GRPC_PORT", "-1"),
        "Bootstrap Server": ("KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ADDRESS", ""),
        "SDS Server": ("KUMA_SDS_SERVER_TLS_KEY_FILE", "k"),
        "Dataplane Token Server": ("KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT", "70000"),
        "Monitoring Assignment Server": ("KUMA_MONITORING_ASSIGNMENT_SERVER_GRPC_PORT", "70000"),
        "Admin Server": ("KUMA_ADMIN_SERVER_PUBLIC_ENABLED", "true"),
        "Environment": ("KUMA_ENVIRONMENT", "moon"),
        "Store": ("KUMA_STORE_TYPE", "mysql"),
        "ApiServer": ("KUMA_API_SERVER_PORT", "-1"),
        "Runtime": ("KUMA_KUBERNETES_ADMISSION_SERVER_PORT", "70000"),
        "Defaults": ("KUMA_DEFAULTS_MESH", "3"),
        "GuiServer": ("KUMA_GUI_SERVER_PORT", "70000"),
    }
    told = []
    while broken:
        section = refusal(**dict(broken.values())).split(": ")[1].removesuffix(" validation failed")
        told.append(section)
        broken.pop(section)
    assert told == [
        "Xds Server",
        "Bootstrap Server",
        "SDS Server",
        "Dataplane Token Server",
        "Monitoring Assignment Server",
        "Admin Server",
        "Environment",
        "Store",
        "ApiServer",
        "Runtime",
        "Defaults",
        "GuiServer",
    ]


# -- autoconfiguration


def test_a_public_port_of_zero_is_the_local_port() -> None:
    config = effective(KUMA_ADMIN_SERVER_LOCAL_PORT="7010", **public("KUMA_ADMIN_SERVER"))
    assert config.number("adminServer.public.port") == 7010
    assert config.sources["adminServer.public.port"] == "autoconfiguration"
    said = effective(**public("KUMA_ADMIN_SERVER", PORT="7443"))
    assert said.number("adminServer.public.port") == 7443
    assert effective().number("adminServer.public.port") == 0


@pytest.mark.parametrize("interface", ["0.0.0.0", "::", "127.0.0.1"])
def test_both_admin_servers_on_one_port(interface: str) -> None:
    said = refusal(**public("KUMA_ADMIN_SERVER", INTERFACE=interface))
    assert f"Port must not be the local port 5679 when Interface is {interface}" in said
    effective(**public("KUMA_ADMIN_SERVER", INTERFACE=interface, PORT="7443"))


def test_the_deprecated_section_replaces_the_other_one_entirely() -> None:
    new = {"KUMA_ADMIN_SERVER_LOCAL_PORT": "7010", "KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED": "false"}
    config = effective(**new, **public("KUMA_DATAPLANE_TOKEN_SERVER"))
    admin: Any = config.as_document()["adminServer"]
    assert admin == {
        "apis": {"dataplaneToken": {"enabled": True, "requireServices": False}},
        "local": {"port": 5679, "anyUser": True},
        "socket": {"path": default_path(5679, os.environ, os.geteuid()), "group": "", "mode": "0600"},
        "public": {
            "enabled": True,
            "tlsCertFile": "c",
            "tlsKeyFile": "k",
            "interface": "192.0.2.1",
            "port": 5679,
            "clientCertsDir": "d",
        },
    }
    (notice,) = config.warnings
    assert "dataplaneTokenServer is deprecated" in notice
    assert "dataplaneTokenServer.public.enabled" in notice
    assert "clientCertsDir are set; move them to adminServer; ignored: " in notice
    ignored = notice.partition("ignored: ")[2]
    assert "adminServer.local.port (from KUMA_ADMIN_SERVER_LOCAL_PORT)" in ignored
    assert "adminServer.apis.dataplaneToken.enabled (from" in ignored


def test_the_deprecated_switch_turns_tokens_off() -> None:
    config = effective(KUMA_DATAPLANE_TOKEN_SERVER_ENABLED="false")
    assert config.flag("adminServer.apis.dataplaneToken.enabled") is False
    assert "deprecated" in config.warnings[0]
    assert "because dataplaneTokenServer.enabled is set; move it to adminServer" in config.warnings[0]


def test_the_deprecated_section_at_its_defaults_changes_nothing() -> None:
    config = effective(KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT="5679", KUMA_ADMIN_SERVER_LOCAL_PORT="7010")
    assert (config.number("adminServer.local.port"), config.warnings) == (7010, ())


def test_the_url_of_the_api_is_honoured_when_set() -> None:
    assert effective(KUMA_API_SERVER_PORT="7").text("guiServer.apiServerUrl") == "http://localhost:7"
    assert effective(KUMA_GUI_SERVER_API_SERVER_URL="http://x").text("guiServer.apiServerUrl") == "http://x"


def test_configuration_precedence(tmp_path: Path) -> None:
    file = tmp_path / "cp.yaml"
    file.write_text(
        "apiServer: {port: 7000}\ngeneral: {advertisedHostname: cp.orchard}\n"
        "adminServer: {local: {port: 7010}}\n"
    )
    config = effective(file, KUMA_API_SERVER_PORT="7001", KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT="7009")
    assert config.number("apiServer.port") == 7001
    assert config.number("adminServer.local.port") == 7009
    assert config.text("bootstrapServer.params.xdsHost") == "cp.orchard"
    assert config.number("bootstrapServer.params.xdsPort") == 5678
    assert f"ignored: adminServer.local.port (from {file})" in config.warnings[0]


# -- unknown keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("apiServer: {prot: 1}", '"apiServer.prot" is ignored; did you mean "apiServer.port"?'),
        ("apiserver: {port: 1}", '"apiserver" is ignored; did you mean "apiServer"?'),
        ("api_server: {port: 1}", '"api_server" is ignored; did you mean "apiServer"?'),
        ("store: {postgres: {dbname: x}}", 'did you mean "store.postgres.dbName"?'),
        ("colour: red", '"colour" is ignored'),
    ],
)
def test_unknown_keys_name_the_nearest(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "cp.yaml"
    file.write_text(text)
    (warning,) = effective(file).warnings
    assert warning.startswith(f"{file}: unknown configuration key ")
    assert warning.endswith(said)


def test_a_store_of_a_plugin_may_be_chosen() -> None:
    class Shelf:
        @staticmethod
        def stores() -> list[Any]:
            from kuma_core.sdk import StoreFactory

            return [StoreFactory("shelf", lambda config: kuma_store_memory)]

    import types

    from kuma_core.sdk import hookimpl

    module = types.ModuleType("shelf")
    module.kuma_register_stores = hookimpl(lambda: Shelf.stores(), specname="kuma_register_stores")  # type: ignore[attr-defined]
    catalog = make_catalog([module])
    assert read_config(catalog, None, {"KUMA_STORE_TYPE": "shelf"}).text("store.type") == "shelf"
    with pytest.raises(ConfigError, match="either postgres, kubernetes, memory or shelf"):
        read_config(catalog, None, {"KUMA_STORE_TYPE": "box"})
