"""The admin server, tokens and the provided CA."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kuma_core.kumactl import admin as admin_module

from .conftest import Call, Certificates, FakeAdmin, FakeServer, Reply, Result, catalog, configure

TOKEN = ("generate", "dataplane-token", "--dataplane", "dp-1")
CERTIFICATES = ("manage", "ca", "provided", "certificates")


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of this machine count as those of another."""
    monkeypatch.setattr(admin_module, "_is_this_machine", lambda _url: False)


def credentials(cert: Path | str, key: Path | str) -> str:
    return f"  credentials: {{adminApi: {{clientCert: {cert}, clientKey: {key}}}}}\n"


def test_a_token_is_printed_without_a_newline(connected: Call, server: FakeServer, admin: FakeAdmin) -> None:
    catalog(server, local=admin.url, public="https://unused")
    result = connected(*TOKEN)
    assert (result.code, result.out, result.err) == (0, "token-of-dp-1-in-default", "")
    assert admin.requests == [("POST", "/tokens", {"name": "dp-1", "mesh": "default"})]


def test_the_certificate_of_the_control_plane_is_printed_as_it_is(
    connected: Call, server: FakeServer, admin: FakeAdmin
) -> None:
    catalog(server, local=admin.url)
    admin.replies["GET", "/control-plane-ca"] = Reply(200, b"-----BEGIN\n\x1b[2Jabc\n-----END\n")
    result = connected("inspect", "control-plane-ca")
    assert (result.code, result.out, result.err) == (0, "-----BEGIN\n\ufffd[2Jabc\n-----END\n", "")
    admin.replies["GET", "/control-plane-ca"] = Reply(404, b"")
    assert connected("inspect", "control-plane-ca").err == (
        "Error: failed to get the certificate of the control plane: unexpected status code 404. Expected 200\n"
    )


def test_name_is_another_word_for_dataplane(connected: Call, server: FakeServer, admin: FakeAdmin) -> None:
    catalog(server, local=admin.url)
    argv = ("generate", "dataplane-token", "--name=x", "--mesh", "m", "--valid-for", "90m")
    assert connected(*argv).out == "token-of-x-in-m"
    assert admin.requests[0][2] == {"name": "x", "mesh": "m", "validFor": "1h30m0s"}


@pytest.mark.parametrize(
    ("text", "words"), [("soon", "--valid-for: "), ("0s", "longer than nothing"), ("-1h", "longer than")]
)
def test_how_long_must_be_a_duration(connected: Call, server: FakeServer, text: str, words: str) -> None:
    result = connected(*TOKEN, f"--valid-for={text}")
    assert (result.code, server.requests) == (1, [])
    assert words in result.err


def test_the_dataplane_is_required(connected: Call) -> None:
    result = connected("generate", "dataplane-token")
    assert (result.code, result.err) == (
        1,
        'Error: required flag(s) "dataplane" not set; or bind the token by --service or --tag\n',
    )


def test_tokens_that_are_switched_off(connected: Call, server: FakeServer, admin: FakeAdmin) -> None:
    catalog(server, local=admin.url, tokens=False)
    result = connected(*TOKEN)
    assert (result.code, admin.requests) == (1, [])
    assert result.err.startswith("Error: failed to create dataplane token client: ")
    assert "adminServer.apis.dataplaneToken.enabled" in result.err


def test_a_refusal_names_the_status_and_the_causes(
    connected: Call, server: FakeServer, admin: FakeAdmin
) -> None:
    catalog(server, local=admin.url)
    said = "failed to generate a dataplane token: unexpected status code"
    body = b'{"title": "Invalid request", "details": "d", "causes": [{"field": "name", "message": "m"}]}'
    admin.replies["POST", "/tokens"] = Reply(400, body)
    assert connected(*TOKEN).err == f"Error: {said} 400. Expected 200: Invalid request (d)\n* name: m\n"
    admin.replies["POST", "/tokens"] = Reply(500, b"")
    assert connected(*TOKEN).err == f"Error: {said} 500. Expected 200\n"


def test_another_machine_is_asked_over_https_with_the_certificate(
    kumactl: Call,
    home: Path,
    server: FakeServer,
    public_admin: FakeAdmin,
    certificates: Certificates,
    far: None,
) -> None:
    configure(home, server.url, credentials(certificates.client_cert, certificates.client_key))
    catalog(server, local="http://127.0.0.1:1", public=public_admin.url)
    result = kumactl(*TOKEN)
    assert (result.code, result.out, result.err) == (0, "token-of-dp-1-in-default", "")


@pytest.fixture
def trusting(
    kumactl: Call, server: FakeServer, public_admin: FakeAdmin, certificates: Certificates, far: None
) -> Callable[[object], Result]:
    """Adds the control plane with a file to trust its admin server by, and asks for a token."""

    def ask(ca_cert: object) -> Result:
        catalog(server, local="http://127.0.0.1:1", public=public_admin.url)
        pair = (
            f"--admin-client-cert={certificates.client_cert}",
            f"--admin-client-key={certificates.client_key}",
        )
        add = ("config", "control-planes", "add", "--overwrite", "--name=far", f"--address={server.url}")
        assert kumactl(*add, *pair, f"--admin-ca-cert={ca_cert}").code == 0
        return kumactl(*TOKEN)

    return ask


def test_the_server_is_verified_by_the_certificate_that_was_added(
    trusting: Callable[[object], Result], certificates: Certificates
) -> None:
    assert trusting(certificates.server_cert).out == "token-of-dp-1-in-default"


def test_a_server_with_another_certificate_gets_nothing(
    trusting: Callable[[object], Result], certificates: Certificates, public_admin: FakeAdmin
) -> None:
    refused = trusting(certificates.client_cert)
    assert (refused.code, refused.out) == (1, "")
    assert "certificate verify failed" in refused.err
    assert public_admin.requests == []


def test_a_file_to_trust_by_that_cannot_be_used(
    trusting: Callable[[object], Result], certificates: Certificates, tmp_path: Path
) -> None:
    said = 'Error: cannot use the certificate "{}" to verify the admin server: {}\n'
    missing = tmp_path / "missing.pem"
    assert trusting(missing).err == said.format(missing, "No such file or directory")
    key = certificates.server_key
    assert trusting(key).err == said.format(key, "it holds no certificate in PEM")


@pytest.mark.parametrize("flag", ["admin-client", "dataplane-token-client"])
def test_the_context_keeps_the_certificate_that_was_added(
    kumactl: Call,
    server: FakeServer,
    public_admin: FakeAdmin,
    certificates: Certificates,
    far: None,
    flag: str,
) -> None:
    files = (f"--{flag}-cert={certificates.client_cert}", f"--{flag}-key={certificates.client_key}")
    added = kumactl("config", "control-planes", "add", "--name", "far", "--address", server.url, *files)
    assert added.code == 0
    for name in ("local", "far"):
        assert kumactl("config", "control-planes", "switch", "--name", name).code == 0
    catalog(server, local="http://127.0.0.1:1", public=public_admin.url)
    assert kumactl(*TOKEN).out == "token-of-dp-1-in-default"


def test_a_certificate_that_the_server_does_not_know_is_refused(
    kumactl: Call,
    home: Path,
    server: FakeServer,
    public_admin: FakeAdmin,
    certificates: Certificates,
    far: None,
) -> None:
    configure(home, server.url, credentials(certificates.server_cert, certificates.server_key))
    catalog(server, local="http://127.0.0.1:1", public=public_admin.url)
    result = kumactl(*TOKEN)
    assert (result.code, result.out, public_admin.requests) == (1, "", [])
    assert f"cannot reach the admin server: POST {public_admin.url}/tokens: " in result.err


@pytest.mark.parametrize(
    ("public", "context", "words"),
    [
        ("", "cert", "it has no TLS"),
        ("https://127.0.0.1:1", "", "kumactl has no client certificate"),
    ],
)
def test_without_tls_on_both_sides_there_are_four_remedies(
    kumactl: Call, home: Path, server: FakeServer, far: None, public: str, context: str, words: str
) -> None:
    configure(home, server.url, credentials("c", "k") if context else "")
    catalog(server, local="http://127.0.0.1:1", public=public)
    for argv in (TOKEN, (*CERTIFICATES, "list")):
        result = kumactl(*argv)
        assert result.code == 1
        assert words in result.err
        assert [line for line in result.err.splitlines() if line.startswith("* ")] != []
        assert result.err.count("\n* ") == 4


def test_https_without_certificates(connected: Call, server: FakeServer) -> None:
    catalog(server, local="https://127.0.0.1:1")
    assert connected(*TOKEN).err == "Error: certificates has to be configured to use https destination\n"


def test_certificates_that_cannot_be_used(
    kumactl: Call, home: Path, server: FakeServer, certificates: Certificates, tmp_path: Path
) -> None:
    catalog(server, local="https://127.0.0.1:1")
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    for key, words in (
        (tmp_path / "none", "No such file or directory"),
        (certificates.server_key, "they do not belong together"),
        (nonsense, "not a certificate and a key in PEM"),
    ):
        configure(home, server.url, credentials(certificates.client_cert, key))
        result = kumactl(*TOKEN)
        assert (result.code, result.err.count("\n")) == (1, 1)
        assert f'with the key "{key}" of the context: ' in result.err
        assert words in result.err


def test_a_key_with_a_password_is_not_asked_for(
    kumactl: Call, home: Path, server: FakeServer, certificates: Certificates, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certificates.client_key.read_bytes(), None)
    locked = tmp_path / "locked"
    how = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    locked.write_bytes(pem)
    configure(home, server.url, credentials(certificates.client_cert, locked))
    catalog(server, local="https://127.0.0.1:1")
    assert "the key is encrypted, and kumactl asks for no password" in kumactl(*TOKEN).err


@pytest.mark.parametrize(
    ("url", "addresses", "expected"),
    [
        ("http://localhost", ["127.0.0.1", "::1"], True),
        ("https://localhost/base", ["::1"], True),
        ("http://cp.internal:5681", ["127.0.1.1", "10.0.0.1"], False),
        ("http://10.0.0.1", ["10.0.0.1"], False),
    ],
)
def test_which_machine_it_is_needs_no_port(
    monkeypatch: pytest.MonkeyPatch, url: str, addresses: list[str], expected: bool
) -> None:
    asked: list[int] = []

    def resolve(_host: str, port: int, **_: Any) -> list[Any]:
        asked.append(port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert admin_module._is_this_machine(url) is expected
    assert asked == [5681 if url.endswith("5681") else 443 if url.startswith("https") else 80]


def test_a_host_that_cannot_be_resolved(
    connected: Call, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog(server, local="http://127.0.0.1:1")

    def refuse(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(admin_module, "socket", type("S", (), {"getaddrinfo": refuse, "SOCK_STREAM": 1}))
    result = connected(*TOKEN)
    assert "could not determine if the control plane is on this machine: cannot resolve" in result.err


@pytest.mark.parametrize(
    "body", ["{}", '{"apis": 3}', '{"apis": {"admin": [], "dataplaneToken": {"localUrl": 1}}}']
)
def test_a_catalog_without_an_admin_server(connected: Call, server: FakeServer, body: str) -> None:
    server.reply("GET", "/catalog", 200, body)
    assert connected(*TOKEN).err.startswith("Error: failed to create dataplane token client: ")
    result = connected(*CERTIFICATES, "list")
    assert result.err == (
        f"Error: the control plane at {server.url} runs no admin server; look at its adminServer\n"
    )


def test_a_url_in_the_catalog_that_is_none(connected: Call, server: FakeServer) -> None:
    catalog(server, local="file:///etc/passwd")
    assert "the URL of the admin server in the catalog must be an absolute URL" in connected(*TOKEN).err


def signed(**claims: object) -> bytes:
    """What is a JWT to whoever does not look at its signature."""
    return b"e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()) + b".x"


def test_a_token_is_bound_by_services_and_tags(connected: Call, server: FakeServer, admin: FakeAdmin) -> None:
    catalog(server, local=admin.url)
    token = signed(Services=["web"], Tags={"team": ["a"]})
    admin.replies["POST", "/tokens"] = Reply(200, token)
    flags = ("--service", "web,api", "--service=backend", "--tag=team=a", "--tag", "team=b", "--tag=zone=x")
    result = connected("generate", "dataplane-token", *flags)
    assert (result.code, result.out, result.err) == (0, token.decode(), "")
    assert admin.requests[-1][2] == {
        "mesh": "default",
        "services": ["web", "api", "backend"],
        "tags": {"team": ["a", "b"], "zone": ["x"]},
    }


@pytest.mark.parametrize(
    ("flag", "made"), [("--service=web", {"Tags": {}}), ("--tag=team=a", {"Services": ["web"]})]
)
def test_an_older_control_plane_makes_tokens_that_allow_more(
    connected: Call, server: FakeServer, admin: FakeAdmin, flag: str, made: dict[str, object]
) -> None:
    catalog(server, local=admin.url)
    admin.replies["POST", "/tokens"] = Reply(200, signed(Name="dp-1", **made))
    result = connected(*TOKEN, flag)
    assert (result.code, result.out) == (1, "")
    assert f"made a token that allows more: it does not know {flag.partition('=')[0]}. " in result.err


@pytest.mark.parametrize("flag", ["--service=", "--service=web,", "--tag=", "--tag=team", "--tag==a"])
def test_a_flag_without_its_value_makes_no_token_for_everything(
    connected: Call, server: FakeServer, flag: str
) -> None:
    assert connected(*TOKEN, flag).code == 1
    assert server.requests == []
