"""Keys, tokens and passwords that the test knows appear in nothing that anybody can read, the store included."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.resources.encryption import PLAIN
from kuma_core.resources.key_file import new_line
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.logged import logged
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import SETTINGS
from .support import DELTA, SDS, ask_delta, ask_identity, kumactl, stream

PLUGINS = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided]
PASSWORD = "canary-password-of-the-database"
PASSPHRASE = "canary-passphrase-of-the-archive"
PIECE = 32
OWNERS = ("default", "shop")
CERTIFICATES = "/meshes/shop/ca/provided/certificates"
ROTATIONS = "/meshes/default/ca/builtin/rotations"


class Canaries:
    """Pieces of secrets by the name of their owner, in each form that they have in the store."""

    def __init__(self) -> None:
        self.pieces: dict[str, set[str]] = {"password": {PASSWORD}, "passphrase": {PASSPHRASE}}

    def plant(self, owner: str, *texts: str) -> None:
        """Know the middle of every long word of these texts: it can come from nowhere else."""
        words = [word for text in texts for word in re.findall(rf"[\w+/=-]{{{PIECE},}}", text)]
        middles = {word[(len(word) - PIECE) // 2 :][:PIECE] for word in words}
        assert middles, owner
        self.pieces.setdefault(owner, set()).update(middles)

    def found_in(self, outputs: dict[str, str]) -> list[tuple[str, str]]:
        """Which output shows a secret of which owner."""
        return [
            (where, owner)
            for where, text in outputs.items()
            for owner, pieces in self.pieces.items()
            if any(piece in text for piece in pieces)
        ]


def private_texts(value: bytes) -> Iterator[str]:
    """The keys in a stored secret: PEM is decoded out of the base64 that it may stand in."""
    try:
        document = json.loads(value)
    except ValueError:
        yield value.decode() if value.isascii() else base64.b64encode(value).decode()
        return
    yield from _keys(document)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "key":
                yield item
                if "BEGIN" not in item:
                    yield base64.b64decode(item).decode()
            else:
                yield from _keys(item)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged("debug", "console") as written:
        yield written


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Two keys: one that encrypts, and one that is only there to be read."""
    path = tmp_path / "secrets.key"
    path.touch(0o600)
    path.write_text(new_line()[1] + new_line()[1])
    return path


@pytest.fixture
def cp(log: io.StringIO, key_file: Path) -> Iterator[RunningPlatform]:
    settings = {
        **SETTINGS,
        "KUMA_STORE_POSTGRES_PASSWORD": PASSWORD,
        "KUMA_STORE_ENCRYPTION_KEY_FILE": str(key_file),
    }
    with running_platform(PLUGINS, settings) as platform:
        yield platform


def stored(cp: RunningPlatform) -> Iterator[tuple[str, str]]:
    """Every document in the store, as it is and out of its base64."""
    for kind in cp.platform.catalog.kinds:
        for record in cp.platform.core.store.list(kind.name) if kind.stored else ():
            raw = json.loads(record.document)
            decoded = base64.b64decode(raw).decode("latin-1") if isinstance(raw, str) else ""
            yield f"the store's {record.key}", record.document + decoded


def planted(cp: RunningPlatform, key_file: Path) -> tuple[Canaries, str, str]:
    """Canaries for every key in the store and a token; the token, and the key that was uploaded."""
    cert, key = (pem.decode() for pem in new_root("shop"))
    assert cp.request("POST", CERTIFICATES, {"cert": cert, "key": key}, cp.admin).status == 200
    cp.apply(mesh("shop", mtls={"enabled": True, "ca": {"provided": {}}}))
    cp.apply(mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}))
    cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
    assert cp.request("POST", ROTATIONS, port=cp.admin).status == 200
    canaries, token = Canaries(), cp.token("web-1")
    canaries.plant("token", token.partition(".")[2])
    canaries.plant("uploaded key", key)
    canaries.plant("key file", *key_file.read_text().replace("=", "").split())
    secrets = cp.platform.core.secrets
    assert PLAIN not in secrets.survey().readable
    for owner in OWNERS:
        for name in secrets.names(owner):
            canaries.plant(name, *private_texts(secrets.get(owner, name).value))
    return canaries, token, key


def walk(cp: RunningPlatform) -> Iterator[tuple[str, str]]:
    """Every GET of the REST API."""
    found = cp.get("/openapi.json").body["paths"]
    templates = [path for path, methods in found.items() if "get" in methods]
    assert len(templates) > 20
    for template in [*templates, "/openapi.json", "/config", "/catalog"]:
        for owner in OWNERS:
            path = template.replace("/meshes/{name}", f"/meshes/{owner}").replace("{mesh}", owner)
            path = re.sub(r"\{\w+\}", "web-1", path)
            answer = cp.get(path)
            assert answer.status != 500, (path, answer)
            yield f"GET {path}", f"{answer.headers} {json.dumps(answer.body)}"


def other_ports(cp: RunningPlatform) -> Iterator[tuple[str, str]]:
    for path, port in (
        ("/metrics", cp.diagnostics),
        ("/ready", cp.diagnostics),
        ("/tokens", cp.admin),
        ("/tokens/revocations", cp.admin),
        ("/tokens/signing-keys", cp.admin),
        (CERTIFICATES, cp.admin),
        (ROTATIONS, cp.admin),
    ):
        answer = cp.request("GET", path, port=port)
        yield f"{port} {path}", f"{answer.headers} {json.dumps(answer.body)}"


def bad_requests(cp: RunningPlatform, token: str, key: str) -> Iterator[tuple[str, str]]:
    """Secrets where they do not belong: whatever is said about them does not repeat them."""
    other = new_root("shop")[0].decode()
    asked: Iterable[tuple[str, str, Any, int]] = [
        ("POST", CERTIFICATES.replace("shop", "new"), {"cert": other, "key": key}, cp.admin),
        ("POST", CERTIFICATES.replace("shop", "new"), {"cert": key, "key": key}, cp.admin),
        ("POST", CERTIFICATES.replace("shop", "new"), {"cert": other, "key": [key]}, cp.admin),
        ("POST", CERTIFICATES.replace("shop", "new"), key.encode(), cp.admin),
        ("POST", CERTIFICATES, {"cert": other, "key": key}, cp.admin),
        ("POST", "/tokens", {"name": "a", "mesh": "b", "validFor": token}, cp.admin),
        ("POST", "/tokens", {"name": [token], "mesh": 3}, cp.admin),
        ("POST", "/tokens", token.encode(), cp.admin),
        ("POST", "/secrets/export", {"passphrase": PASSPHRASE, "mesh": [PASSPHRASE]}, cp.admin_socket),
        ("POST", "/secrets/export", {"passphrase": [PASSPHRASE]}, cp.admin_socket),
        (
            "POST",
            "/secrets/import",
            {"passphrase": PASSPHRASE, "archive": {"type": PASSPHRASE}},
            cp.admin_socket,
        ),
        ("POST", "/secrets/import", PASSPHRASE.encode(), cp.admin_socket),
        ("POST", "/tokens/revocations", {"token": token + "x"}, cp.admin),
        ("POST", "/tokens/revocations", {"token": key}, cp.admin),
        ("POST", "/tokens/revocations", {"token": [token]}, cp.admin),
        ("POST", "/tokens/revocations", {"token": token, "id": "x"}, cp.admin),
        ("POST", "/tokens/revocations", {"id": token}, cp.admin),
        ("POST", "/tokens/revocations", {"id": "x", "expires": token}, cp.admin),
        ("DELETE", f"/tokens/signing-keys/{token}", None, cp.admin),
        ("PUT", "/meshes/new", token.encode(), cp.api),
        ("PUT", "/meshes/new", {"type": "Mesh", "name": "new", "mtls": {"enabled": key}}, cp.api),
        (
            "PUT",
            "/meshes/new",
            {"type": "Mesh", "name": "new", "mtls": {"ca": {"provided": {"key": key}}}},
            cp.api,
        ),
    ]
    for number, (method, path, body, port) in enumerate(asked):
        answer = cp.request(method, path, body, port)
        yield f"{number}: {method} {path}", f"{answer.headers} {json.dumps(answer.body)}"
    for method, ask in ((SDS, ask_identity), (DELTA, ask_delta)):
        with stream(cp, method, token + "x") as opened:
            ask(opened)
            yield f"{method} with a broken token", opened.refusal()[1]


def commands(cp: RunningPlatform, folder: Path, key: str) -> Iterator[tuple[str, str]]:
    (folder / "cert").write_bytes(new_root("other")[0])
    (folder / "key").write_text(key)
    (folder / "passphrase").write_text(PASSPHRASE)
    flags = (f"--passphrase-file={folder / 'passphrase'}", "--log-level=debug")
    exported = folder / "export.yaml"
    manage = ("manage", "ca", "provided", "certificates")
    add = (*manage, "add", f"--key-file={folder / 'key'}", f"--cert-file={folder / 'cert'}", "--mesh=new")
    for words in (
        ("get", "meshes", "-o", "yaml"),
        ("get", "dataplanes", "-o", "json"),
        ("inspect", "dataplanes", "-o", "json"),
        ("config", "view"),
        ("export", "--with-secrets", *flags),
        ("export", "--with-secrets", "--output-file", str(exported), *flags),
        ("import", "--file", str(exported), "--dry-run", *flags),
        ("import", "--file", str(exported), *flags),
        ("import", "--file", str(exported), f"--passphrase-file={folder / 'key'}"),
        (*manage, "list", "--mesh=shop"),
        ("revoke", "dataplane-token", f"--token-file={folder / 'key'}"),
        ("inspect", "signing-keys"),
        add,
        ("manage", "ca", "builtin", "status"),
        ("manage", "ca", "builtin", "rotate"),
    ):
        done = kumactl(cp, folder, *words)
        yield f"kumactl {' '.join(words)}", done.stdout + done.stderr
    assert "SecretsArchive" in exported.read_text()
    yield "the export", exported.read_text()


def test_a_canary_appears_nowhere(
    cp: RunningPlatform, key_file: Path, log: io.StringIO, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canaries, token, key = planted(cp, key_file)
    assert canaries.found_in({"the store": key + token}), "a leak would be noticed"
    with ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        sidecar = machine.sidecar("web-1", token_text=token)
        outputs = dict(walk(cp)) | dict(other_ports(cp)) | dict(commands(cp, tmp_path, key))
        outputs |= dict(bad_requests(cp, token, key))
        eventually(lambda: "web-1" in outputs["GET /meshes/default/dataplanes/web-1"])
        revoked = cp.request("POST", "/tokens/revocations", {"token": token}, cp.admin)
        assert revoked.status == 200
        outputs["revoked"] = json.dumps(revoked.body)
        outputs["revoked tokens"] = kumactl(cp, tmp_path, "inspect", "revoked-tokens").stdout
        eventually(lambda: "a stream ends with its credential" in log.getvalue())
        outputs["kuma-dp"] = sidecar.log.read_text()
    outputs |= dict(stored(cp))
    outputs["log"], outputs["other logs"] = log.getvalue(), caplog.text
    owners = {"uploaded key", "token", "key file", "builtinca.default", "providedca.shop"}
    assert owners <= set(canaries.pieces)
    assert str(key_file) in outputs["GET /config"]
    assert "the control plane is up" in outputs["log"]
    assert PASSWORD not in outputs["GET /config"]
    assert canaries.found_in(outputs) == []
