"""The admin server over HTTPS: for those who show a certificate that is known."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate
from structlog.testing import capture_logs

import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.builtin.archive.archive import ArchivedSecret, seal
from kuma_core.ca.pki import load_issuer, sign_leaf
from kuma_core.errors import ConfigError
from kuma_core.kumactl.tls_pair import generate, save
from kuma_core.runtime import https
from kuma_core.runtime.https import server_context
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

GOOD = {"name": "web-1", "mesh": "shop"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs: server, alice (known), mallory (not known), and two that an authority or alice signed.

    The folder ``clients`` holds more than certificates.
    """
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "alice", "mallory"):
        pair = generate(["127.0.0.1"] if name == "server" else [], is_client=name != "server")
        save(pair, str(folder / f"{name}-key.pem"), str(folder / f"{name}.pem"))
    alice = tuple((folder / name).read_bytes() for name in ("alice.pem", "alice-key.pem"))
    for name, root in (("of-a-proxy", new_root("shop")), ("by-alice", alice)):
        write_leaf(folder, name, *root)
    clients = folder / "clients"
    (clients / "more.pem").mkdir(parents=True)
    (clients / "alice.pem").write_bytes((folder / "alice.pem").read_bytes())
    (clients / "mallory.crt").write_bytes((folder / "mallory.pem").read_bytes())
    (clients / "more.pem" / "mallory.pem").write_bytes((folder / "mallory.pem").read_bytes())
    (clients / "notes.pem").write_text("these are no certificates")
    return folder


def write_leaf(folder: Path, name: str, cert: bytes, key: bytes) -> None:
    """An identity as proxies have it, signed with a certificate and its key."""
    own, pem = ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
    public = own.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = sign_leaf(load_issuer(cert, key), public, ["spiffe://shop/web"], timedelta(days=1))
    (folder / f"{name}.pem").write_text(chain)
    (folder / f"{name}-key.pem").write_bytes(private)


def settings(files: Path, **changed: str) -> dict[str, str]:
    said = {
        "ENABLED": "true",
        "TLS_CERT_FILE": str(files / "server.pem"),
        "TLS_KEY_FILE": str(files / "server-key.pem"),
        "INTERFACE": "127.0.0.1",
        "PORT": str(free_port()),
        "CLIENT_CERTS_DIR": str(files / "clients"),
        **changed,
    }
    return {f"KUMA_ADMIN_SERVER_PUBLIC_{name}": value for name, value in said.items()}


@pytest.fixture(scope="module")
def cp(files: Path) -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory], settings(files)) as platform:
        yield platform


def client(files: Path, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files / "server.pem"))
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if name:
        context.load_cert_chain(files / f"{name}.pem", files / f"{name}-key.pem")
    return context


def ask(
    cp: RunningPlatform, tls: ssl.SSLContext, body: Any = GOOD, path: str = "/tokens", **headers: str
) -> tuple[int, Any]:
    port = cp.platform.config.number("adminServer.public.port")
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=tls)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_a_client_with_a_known_certificate_is_served(cp: RunningPlatform, files: Path) -> None:
    status, token = ask(cp, client(files, "alice"))
    assert status == 200
    assert token.count(".") == 2


def test_the_log_names_the_certificate_of_whoever_writes(cp: RunningPlatform, files: Path) -> None:
    number = load_pem_x509_certificate((files / "alice.pem").read_bytes()).serial_number
    with capture_logs() as logs:
        assert ask(cp, client(files, "alice"))[0] == 200
    (line,) = [line for line in logs if line["event"] == "a write is accepted"]
    assert (line["result"], line["mesh"], line["name"], line["address"]) == (
        "issued",
        "shop",
        "web-1",
        "127.0.0.1",
    )
    assert line["user"].startswith("commonName=")
    assert line["by"] == "certificate"
    assert int(line["credential"], 16) == number


def test_errors_are_json_there_too(cp: RunningPlatform, files: Path) -> None:
    status, body = ask(cp, client(files, "alice"), {})
    assert status == 400
    assert json.loads(body)["title"] == "Invalid request"
    status, body = ask(cp, client(files, "alice"), {"name": "x" * 50_000, "mesh": "shop"})
    assert status == 413
    assert "16384 bytes" in json.loads(body)["details"]


@pytest.mark.parametrize("name", ["", "mallory", "server", "of-a-proxy"])
def test_nobody_else_gets_beyond_the_handshake(cp: RunningPlatform, files: Path, name: str) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(cp, client(files, name), authorization=cp.token("web-1"))


def test_whom_a_known_client_vouches_for_is_served(cp: RunningPlatform, files: Path) -> None:
    """So that a folder with one authority of your own is enough."""
    assert ask(cp, client(files, "by-alice"))[0] == 200


def test_a_web_page_in_a_browser_with_a_certificate_is_refused(cp: RunningPlatform, files: Path) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert ask(cp, client(files, "alice"), **headers)[0] == 403


def test_old_versions_of_tls_are_refused(cp: RunningPlatform, files: Path) -> None:
    context = server_context(
        str(files / "server.pem"), str(files / "server-key.pem"), str(files / "clients"), "x"
    )
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    newest = client(files, "alice")
    newest.maximum_version = ssl.TLSVersion.TLSv1_2
    assert ask(cp, newest)[0] == 200


def hello(tls: ssl.SSLContext) -> bytes:
    """The first message of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        tls.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()


def stop_before_a_word(plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
    return plain


def stop_in_the_first_message(plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
    said = hello(tls)
    plain.sendall(said[: len(said) // 2])
    return plain


def stop_in_the_handshake(plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
    plain.sendall(hello(tls))
    assert plain.recv(1), "the server answers, and waits for the client's certificate"
    return plain


def stop_in_the_request_line(plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
    encrypted = tls.wrap_socket(plain, server_hostname="127.0.0.1")
    encrypted.sendall(b"POST /tok")
    return encrypted


def stop_in_the_body(plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
    encrypted = tls.wrap_socket(plain, server_hostname="127.0.0.1")
    head = "POST /tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    encrypted.sendall(head.encode() + b'{"name":')
    return encrypted


@pytest.mark.parametrize(
    "stop",
    [
        stop_before_a_word,
        stop_in_the_first_message,
        stop_in_the_handshake,
        stop_in_the_request_line,
        stop_in_the_body,
    ],
)
def test_fifty_clients_that_stop_delay_nobody(
    cp: RunningPlatform, files: Path, stop: Callable[[socket.socket, ssl.SSLContext], socket.socket]
) -> None:
    port, tls = cp.platform.config.number("adminServer.public.port"), client(files, "alice")
    with ExitStack() as stack:
        for _ in range(50):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            stack.enter_context(stop(plain, tls))
        before = time.monotonic()
        assert [ask(cp, tls)[0] for _ in range(5)] == [200] * 5
        assert time.monotonic() - before < 3


def test_a_body_that_does_not_come_is_given_up(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "BODY_SECONDS", 0.2)
    with running_platform([kuma_store_memory], settings(files)) as impatient:
        port, tls = impatient.platform.config.number("adminServer.public.port"), client(files, "alice")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            stopped = stop_in_the_body(plain, tls)
            reply = b"".join(iter(lambda: stopped.recv(4096), b"")).decode()
            stopped.close()
    head, _, body = reply.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 408 ")
    assert json.loads(body)["details"] == "The body was not complete within 0.2 s"


def test_large_bodies_are_answered_and_their_connections_end(cp: RunningPlatform, files: Path) -> None:
    """Those that are refused unread and those that are read; TLS that waits for a last word would stay for ever."""
    port, tls = cp.platform.config.number("adminServer.public.port"), client(files, "alice")
    secrets = [ArchivedSecret("shop", f"s{number}", os.urandom(2500)) for number in range(2000)]
    asked = {"passphrase": "x" * 12, "archive": seal(secrets, "x" * 12), "dryRun": True}
    for _ in range(8):
        assert ask(cp, tls, {"name": "x" * 4_000_000}, Connection="close")[0] == 413
        status, answer = ask(cp, tls, asked, "/secrets/import", Connection="close")
        assert (status, len(json.loads(answer)["secrets"])) == (200, 2000)

    def connections() -> list[Any]:
        found = psutil.Process().net_connections("tcp")
        return [each for each in found if each.laddr.port == port and each.raddr]

    eventually(lambda: not connections(), what="a server without connections")


def test_the_catalog_tells_the_public_url(cp: RunningPlatform) -> None:
    port = cp.platform.config.number("adminServer.public.port")
    apis = cp.get("/catalog").body["apis"]
    assert apis["admin"]["publicUrl"] == f"https://localhost:{port}"
    assert apis["dataplaneToken"].items() <= apis["admin"].items()


def refusal(files: Path, **changed: str) -> str:
    with (
        pytest.raises(ConfigError) as caught,
        running_platform([kuma_store_memory], settings(files, **changed)),
    ):
        raise AssertionError("it started")
    return str(caught.value)


def test_a_certificate_may_have_a_mark_and_words_before_it(files: Path, tmp_path: Path) -> None:
    before = {"alice": "\ufeff# of Z\N{LATIN SMALL LETTER U WITH DIAERESIS}rich\n", "mallory": "\ufeff"}
    for name, words in before.items():
        (tmp_path / f"{name}.pem").write_text(words + (files / f"{name}.pem").read_text())
    with running_platform([kuma_store_memory], settings(files, CLIENT_CERTS_DIR=str(tmp_path))) as cp:
        assert [ask(cp, client(files, name))[0] for name in before] == [200, 200]


def test_a_folder_without_certificates_fails_the_start(files: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere", files / "clients" / "notes.pem"):
        text = refusal(files, CLIENT_CERTS_DIR=str(folder))
        assert str(folder) in text
        assert "adminServer.public.clientCertsDir" in text


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("alice-key.pem", "they do not belong together"),
        ("server.pem", "they are not a certificate and a key in PEM"),
        ("nowhere.pem", "No such file"),
    ],
)
def test_a_pair_that_cannot_be_used_fails_the_start(files: Path, key: str, reason: str) -> None:
    text = refusal(files, TLS_KEY_FILE=str(files / key))
    assert reason in text
    assert "adminServer.public.tlsKeyFile" in text


def test_a_taken_port_is_told(files: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refusal(files, PORT=str(port))
    assert f"cannot listen on port {port} (adminServer.public.port, KUMA_ADMIN_SERVER_PUBLIC_PORT)" in text


def test_the_local_port_by_default_collides_and_is_told(files: Path) -> None:
    text = refusal(files, PORT="0")
    assert "must not be the local port" in text
