"""The REST API over HTTPS: whose certificate it has, whom a client's certificate makes, and what leaves there."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.errors import ConfigError
from kuma_core.kumactl.tls_pair import generate, save
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import mode

HTTPS = "KUMA_API_SERVER_HTTPS_"


def pair(folder: Path, name: str, *hosts: str) -> Path:
    """A certificate and, beside it, its key."""
    save(generate(list(hosts), not hosts), str(folder / f"{name}-key.pem"), str(folder / f"{name}.pem"))
    return folder / f"{name}.pem"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("https")
    (folder / "clients").mkdir()
    pair(folder, "server", "127.0.0.1")
    pair(folder, "mallory")
    (folder / "clients" / "alice.pem").write_bytes(pair(folder, "alice").read_bytes())
    return folder


@pytest.fixture(scope="module")
def cp(files: Path) -> Iterator[RunningPlatform]:
    settings = {f"{HTTPS}CLIENT_CERTS_DIR": str(files / "clients")}
    with running_platform([kuma_store_memory], mode("token", **settings)) as running:
        yield running


def ask(
    cp: RunningPlatform, trust: str | Path, shown: Path | None, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    """The answer to a client that verifies who answers."""
    if isinstance(trust, Path):
        tls = ssl.create_default_context(cafile=str(trust))
    else:
        tls = ssl.create_default_context(cadata=trust)
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if shown:
        tls.load_cert_chain(shown, shown.with_name(f"{shown.stem}-key.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", cp.https, timeout=30, context=tls)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def root(cp: RunningPlatform) -> str:
    """What anybody may ask, and an operator brings to whoever is to trust it."""
    answer = cp.request("GET", "/control-plane-ca", port=cp.admin)
    assert answer.status == 200
    return str(answer.body["cert"] if isinstance(answer.body, dict) else answer.body)


def test_it_has_the_certificate_that_proxies_know(cp: RunningPlatform) -> None:
    assert ask(cp, root(cp), None, "GET", "/")[0] == 200
    assert ask(cp, root(cp), None, "GET", "/meshes")[0] == 401


def test_a_known_certificate_makes_an_admin_and_an_unknown_one_nobody(
    cp: RunningPlatform, files: Path
) -> None:
    trust, alice = root(cp), files / "alice.pem"
    assert ask(cp, trust, alice, "PUT", "/meshes/shop", mesh("shop"))[0] == 201
    assert ask(cp, trust, alice, "POST", "/tokens", {"name": "web-1", "mesh": "shop"})[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(cp, trust, files / "mallory.pem", "GET", "/meshes")
    _, told = ask(cp, trust, alice, "GET", "/audit")
    write = next(item for item in json.loads(told)["items"] if item.get("name") == "shop")
    assert (write["by"], write["user"].startswith("commonName=")) == ("certificate", True)


def test_secrets_do_not_leave_here(cp: RunningPlatform, files: Path) -> None:
    wanted = {"passphrase": "correct horse battery"}
    status, said = ask(cp, root(cp), files / "alice.pem", "POST", "/secrets/export", wanted)
    assert (status, b"Unix socket" in said) == (403, True)


def test_a_certificate_of_yours(files: Path) -> None:
    settings = {
        f"{HTTPS}TLS_CERT_FILE": str(files / "server.pem"),
        f"{HTTPS}TLS_KEY_FILE": str(files / "server-key.pem"),
    }
    with running_platform([kuma_store_memory], settings) as cp:
        assert ask(cp, files / "server.pem", None, "GET", "/meshes")[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(cp, root(cp), None, "GET", "/")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"TLS_CERT_FILE": "/nowhere.pem", "TLS_KEY_FILE": "/nowhere"}, "apiServer.https.tlsCertFile"),
        ({"CLIENT_CERTS_DIR": "/nowhere"}, "apiServer.https.clientCertsDir"),
    ],
)
def test_files_that_cannot_be_used_stop_the_start(settings: dict[str, str], words: str) -> None:
    given = {f"{HTTPS}{name}": value for name, value in settings.items()}
    with (
        pytest.raises(ConfigError, match=words),
        running_platform([kuma_store_memory], given),
    ):
        raise AssertionError("it started")


def test_it_can_be_turned_off() -> None:
    with running_platform([kuma_store_memory], {f"{HTTPS}ENABLED": "false"}) as cp:
        names = [server.name for server, _ in cp.platform.listening.bound]
        assert "api-server" in names
        assert "api-server-https" not in names
