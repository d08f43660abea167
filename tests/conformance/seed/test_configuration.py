"""What the user's document says on configuration: ``/config``, the backends, the ports, the public token server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.config import Config, build_config
from kuma_core.testing.platform import RunningPlatform, make_catalog

from ..support import Shell, document, has, needs, plugins

PUBLIC = "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC"
TLS = "/etc/kuma.io/kuma-cp/admin-api/tls"
PUBLIC_SERVER = {
    "KUMA_GENERAL_ADVERTISED_HOSTNAME": "kuma-control-plane.internal",
    f"{PUBLIC}_ENABLED": "true",
    f"{PUBLIC}_TLS_CERT_FILE": f"{TLS}/server.cert",
    f"{PUBLIC}_TLS_KEY_FILE": f"{TLS}/server.key",
    f"{PUBLIC}_INTERFACE": "0.0.0.0",
    f"{PUBLIC}_PORT": "5684",
    f"{PUBLIC}_CLIENT_CERTS_DIR": f"{TLS}/allowed-client-certs.d",
}
"""The variables of the Security chapter, with the values that the documented ``/config`` shows."""

SDS = {
    "KUMA_SDS_SERVER_TLS_CERT_FILE": "/tmp/117637813.crt",
    "KUMA_SDS_SERVER_TLS_KEY_FILE": "/tmp/240596112.key",
}
"""There the original made itself a certificate; ours is kept in the store."""

GUI = 5683
PORTS = {
    5677: "sdsServer.grpcPort",
    5678: "xdsServer.grpcPort",
    5679: "adminServer.local.port",
    5680: "xdsServer.diagnosticsPort",
    5681: "apiServer.port",
    5682: "bootstrapServer.port",
    GUI: "guiServer.port",
}


def effective(environ: Mapping[str, str]) -> Config:
    """The configuration that ``kuma-cp run`` has in this environment."""
    return autoconfigured(build_config(make_catalog(plugins()).settings, {}, "test", environ))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document that is not an object, with its path."""
    if not isinstance(value, Mapping):
        yield path.lstrip("."), value
        return
    for key, item in value.items():
        yield from leaves(item, f"{path}.{key}")


def test_config_has_every_documented_key(cp: RunningPlatform) -> None:
    answer = cp.get("/config")
    assert answer.status == 200
    assert {path for path, _ in leaves(document("seed/config.json"))} <= {
        path for path, _ in leaves(answer.body)
    }


def test_config_shows_the_documented_values() -> None:
    """With the environment of that control plane; the rest are defaults."""
    shown = dict(leaves(effective(PUBLIC_SERVER | SDS).as_document()))
    documented = dict(leaves(document("seed/config.json")))
    assert {path: shown.get(path) for path in documented} == documented


def test_config_never_shows_a_secret() -> None:
    config = effective({"KUMA_STORE_POSTGRES_PASSWORD": "kuma-password"})
    assert config.text("store.postgres.password") == "kuma-password"
    shown = config.as_document()
    assert shown["store"]["postgres"]["password"] == "*****"
    assert "kuma-password" not in json.dumps(shown)


def test_ports_by_default() -> None:
    config = effective({})
    assert {config.number(path): path for path in PORTS.values()} == PORTS


@pytest.mark.parametrize("port", PORTS)
def test_ports_listen_after_a_plain_start(machine: Shell, port: int) -> None:
    open_ports = machine.run(f"exec 3<>/dev/tcp/127.0.0.1/{port}").returncode == 0
    if port == GUI:
        needs(open_ports, "the GUI")
    assert open_ports


# -- the public token server (Security)


def test_the_deprecated_variables_make_the_public_admin_server() -> None:
    config = effective(PUBLIC_SERVER)
    assert config.flag("adminServer.public.enabled")
    assert config.number("adminServer.public.port") == 5684
    assert config.text("adminServer.public.clientCertsDir") == f"{TLS}/allowed-client-certs.d"


def test_its_port_is_by_default_that_of_the_local_server() -> None:
    """On an interface of its own: on every interface the two would collide, and that is refused."""
    environ = {**PUBLIC_SERVER, f"{PUBLIC}_INTERFACE": "10.0.0.1"}
    del environ[f"{PUBLIC}_PORT"]
    assert effective(environ).number("adminServer.public.port") == 5679


@pytest.mark.parametrize("missing", ["TLS_CERT_FILE", "TLS_KEY_FILE", "INTERFACE"])
def test_it_is_not_started_without_what_secures_it(missing: str) -> None:
    environ = {key: value for key, value in PUBLIC_SERVER.items() if key != f"{PUBLIC}_{missing}"}
    with pytest.raises(Exception, match="cannot be empty if server is enabled"):
        effective(environ)


# -- backends


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with ExitStack() as stack:
        yield Shell(tmp_path, stack)


def test_the_memory_store_is_the_default(shell: Shell) -> None:
    for line in ("kuma-cp config view", "KUMA_STORE_TYPE=memory kuma-cp config view"):
        assert "\nstore:\n  type: memory\n" in shell.good(line)


POSTGRES = """\
KUMA_STORE_TYPE=postgres \
  KUMA_STORE_POSTGRES_HOST=localhost \
  KUMA_STORE_POSTGRES_PORT=5432 \
  KUMA_STORE_POSTGRES_USER=kuma-user \
  KUMA_STORE_POSTGRES_PASSWORD=kuma-password \
  KUMA_STORE_POSTGRES_DB_NAME=kuma \
  kuma-cp"""


def test_the_variables_of_postgres_are_known(shell: Shell) -> None:
    """Whether or not its plugin is there, they are read, and no word of a warning is said."""
    done = shell.run(f"{POSTGRES} config view")
    assert (done.returncode, done.stderr) == (0, "")
    wanted = ("host: localhost", "port: 5432", "user: kuma-user", "password: '*****'", "dbName: kuma")
    assert all(f"    {line}\n" in done.stdout for line in wanted), done.stdout


def test_postgres_without_its_plugin_says_what_to_install(shell: Shell) -> None:
    if has("kuma_store_postgres"):
        pytest.skip("does not apply: the plugin kuma-store-postgres is installed")
    done = shell.run(f"{POSTGRES} run")
    assert done.returncode == 1
    assert "Install kuma-store-postgres" in done.stderr
    assert "Traceback" not in done.stderr


def test_postgres_with_its_plugin_is_a_valid_choice(shell: Shell) -> None:
    needs(has("kuma_store_postgres"), "the plugin kuma-store-postgres")
    assert shell.run(f"{POSTGRES} config validate").returncode == 0


def test_kubernetes_without_its_plugin_says_what_to_install(shell: Shell) -> None:
    if has("kuma_store_k8s"):
        pytest.skip("does not apply: the plugin kuma-store-k8s is installed")
    done = shell.run("KUMA_STORE_TYPE=kubernetes kuma-cp run")
    assert done.returncode == 1
    assert "kuma-store-k" in done.stderr
