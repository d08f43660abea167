"""``kumactl import`` of what is damaged or wrong, and how secrets come from and to the admin server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

import kuma_store_memory
from kuma_core.kumactl import admin as admin_module
from kuma_core.kumactl import secrets_client
from kuma_core.kumactl.client import Client
from kuma_core.kumactl.config import Configuration
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port

from .backups import PASSPHRASE, PLUGINS, Places, everything, two_control_planes
from .conftest import Call, Certificates, configure


@pytest.fixture
def places(kumactl: Call, home: Path) -> Iterator[Places]:
    with two_control_planes(kumactl, home) as found:
        yield found


# -- refused as a whole


@pytest.fixture
def refused(places: Places) -> Callable[..., str]:
    """Imports a file that was changed; nothing may be written, and one error is returned."""
    places.old.apply(mesh("shop"), dataplane("web-1", inbound("10.0.0.1:1:1", "a"), mesh="shop"))
    places.export(places.old, secrets=True)
    before = everything(places.new)

    def attempt(change: Callable[[str], str], *argv: str) -> str:
        text = places.file.read_text()
        places.file.write_text(change(text))
        result = places.import_("--overwrite", *argv, passphrase=True)
        places.file.write_text(text)
        assert (result.code, result.out) == (1, ""), result
        assert everything(places.new) == before
        return result.err

    return attempt


def test_what_is_damaged_is_refused_and_nothing_written(refused: Callable[..., str]) -> None:
    assert "was cut off: its last line is not" in refused(lambda text: text[:-3000])
    assert "of a newer kumactl" in refused(lambda text: text.replace("format 1", "format 2"))
    assert "it was cut off or changed" in refused(lambda text: text.replace("data: |\n  ", "data: |\n  AAAA"))
    assert "it has the format 7" in refused(lambda text: text.replace("\nformat: 1", "\nformat: 7"))


def test_a_wrong_passphrase_is_refused_and_nothing_written(
    places: Places, refused: Callable[..., str]
) -> None:
    places.passphrase.write_text("hush hush hush hush")
    said = refused(str)
    assert "the passphrase is not the one that it was made with" in said
    assert "hush" not in said
    places.passphrase.write_text("hush")
    assert "passphrase: has fewer than 12 characters" in refused(str)


def test_every_bad_resource_is_told_and_nothing_written(refused: Callable[..., str]) -> None:
    said = refused(
        lambda text: text.replace("10.0.0.1:1:1", "nowhere").replace("ca:\n    builtin", "ca:\n    vault")
    )
    assert said.startswith("Error: nothing was imported:\n")
    assert 'Dataplane "web-1": ' in said
    assert "* networking.inbound[0].interface: " in said
    assert "* mtls.ca.vault: " in said
    said = refused(lambda text: text.replace("type: Dataplane", "type: Planet"))
    assert "document 3 of" in said
    assert 'unknown type "Planet"' in said
    twice = "---\ntype: Mesh\nname: shop\n"
    assert 'Mesh "shop" is in the file twice' in refused(
        lambda text: text.replace("---\n", twice + "---\n", 1)
    )


def test_a_read_only_control_plane_is_told(kumactl: Call, home: Path) -> None:
    with running_platform([kuma_store_memory], {"KUMA_API_SERVER_READ_ONLY": "true"}) as cp:
        configure(home, cp.api_url)
        result = kumactl("import", "-f", "-", stdin="type: Mesh\nname: shop\n")
    assert (result.code, "the API is read-only (apiServer.readOnly)" in result.err) == (1, True)


def test_what_fails_while_it_is_written_stops_nothing_else(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataplane that could be written a moment ago."""
    places.old.apply(*(dataplane(f"web-{number}", inbound("10.0.0.1:1:1", "a")) for number in range(3)))
    places.export(places.old)
    put = Client.put

    def failing(self: Client, path: str, value: dict[str, Any]) -> str:
        wrong = {**value, "networking": {}} if value["name"] == "web-1" else value
        return put(self, path, wrong)

    monkeypatch.setattr(Client, "put", failing)
    result = places.import_()
    assert result.code == 1
    assert 'failed Dataplane "web-1": Could not create a resource' in result.err
    assert result.err.endswith("Error: 1 of 4 resources could not be imported\n")
    assert result.out.endswith("imported resources: 2 created, 0 updated, 1 unchanged\n")


def test_a_mesh_is_warned_of_when_all_is_there(places: Places) -> None:
    """Not that nobody is permitted anything, while the permissions are still to come."""
    match = [{"match": {"service": "*"}}]
    permission = {"type": "TrafficPermission", "mesh": "shop", "name": "all"}
    places.old.apply(mesh("shop", mtls={"enabled": True, "ca": {"provided": {}}}))
    places.old.apply({**permission, "sources": match, "destinations": match})
    places.export(places.old)
    (said,) = places.import_().err.splitlines()
    assert said.startswith('Warning: Mesh "shop": mtls.ca.provided: There is no signing certificate')


# -- the way to the admin server


def test_the_passphrase_is_in_no_log(places: Places) -> None:
    with structlog.testing.capture_logs() as logs:
        flags = ("--with-secrets", f"--passphrase-file={places.passphrase}", "--log-level=debug")
        result = places.at(places.old, "export", *flags)
    assert "POST" in result.err
    assert not any(PASSPHRASE in text for text in (result.err, result.out, str(logs)))


@contextmanager
def open_to_others(certificates: Certificates, folder: Path) -> Iterator[RunningPlatform]:
    """A control plane whose admin server takes the client certificate, over HTTPS."""
    (folder / "clients").mkdir()
    shutil.copy(certificates.client_cert, folder / "clients")
    said = {
        "ENABLED": "true",
        "TLS_CERT_FILE": str(certificates.server_cert),
        "TLS_KEY_FILE": str(certificates.server_key),
        "INTERFACE": "127.0.0.1",
        "PORT": str(free_port()),
        "CLIENT_CERTS_DIR": str(folder / "clients"),
    }
    settings = {f"KUMA_ADMIN_SERVER_PUBLIC_{name}": value for name, value in said.items()}
    with running_platform([kuma_store_memory, *PLUGINS], settings) as cp:
        yield cp


def test_many_secrets_go_over_https_with_a_client_certificate(
    kumactl: Call,
    home: Path,
    tmp_path: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five megabytes of them; whoever answers in the server's place is not noticed, which is told."""
    monkeypatch.setattr(admin_module, "_is_this_machine", lambda _url: False)
    pair = f"clientCert: {certificates.client_cert}, clientKey: {certificates.client_key}"
    credentials = f"  credentials: {{adminApi: {{{pair}}}}}\n"
    with open_to_others(certificates, tmp_path) as cp:
        places = Places(kumactl, home, cp, cp)
        secrets = cp.platform.core.secrets
        for number in range(2000):
            secrets.create("shop", f"s{number:04}", os.urandom(2500))
        configure(home, cp.api_url, credentials)
        flags = (f"--passphrase-file={places.passphrase}",)
        exported = kumactl("export", "-o", str(places.file), "--with-secrets", *flags)
        assert exported.code == 0, exported
        assert "does not verify the certificate of the admin server at https://" in exported.err
        assert places.file.stat().st_size > 5_000_000
        values = {secret.name: secret.value for secret in secrets.all("shop")}
        for name in [*values][:1500]:
            secrets.delete("shop", name)
        imported = kumactl("import", "-f", str(places.file), *flags)
        assert "imported secrets: 1500 created, 0 updated, 503 unchanged" in imported.out, imported
        assert {secret.name: secret.value for secret in secrets.all("shop")} == values


def test_an_unverified_server_is_warned_of(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    far: Any = lambda *_, **__: Client("https://far:5679", print)  # noqa: E731
    monkeypatch.setattr(admin_module, "connect", far)
    monkeypatch.setattr(
        admin_module, "catalog", lambda _session: admin_module.Apis(*[admin_module.Addresses("", "")] * 2)
    )
    session: Any = SimpleNamespace(configuration=Configuration())
    secrets_client._client(session)
    assert (
        "does not verify the certificate of the admin server at https://far:5679" in capsys.readouterr().err
    )


def test_an_older_control_plane_is_told(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Client.send
    monkeypatch.setattr(
        Client, "send", lambda self, method, path, value: send(self, method, path + "/x", value)
    )
    flags = ("--with-secrets", f"--passphrase-file={places.passphrase}")
    result = places.at(places.old, "export", *flags)
    assert result.err == "Error: this control plane is too old to export or import secrets; upgrade it\n"
    assert json.dumps(result.out) == '""'
