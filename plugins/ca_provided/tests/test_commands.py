"""``kumactl manage ca provided certificates``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kumactl.conftest import Call, Certificates, FakeAdmin, FakeServer, Reply, catalog

CERTIFICATES = ("manage", "ca", "provided", "certificates")


def test_add_list_delete(
    connected: Call, server: FakeServer, admin: FakeAdmin, certificates: Certificates
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    catalog(server, local=admin.url)
    files = ("--key-file", str(certificates.server_key), "--cert-file", str(certificates.server_cert))
    added = connected(*CERTIFICATES, "add", *files, "--mesh", "m")
    assert (added.code, added.out, added.err) == (0, 'added certificate "1-2-3"\n', "")
    sent = {"key": certificates.server_key.read_text(), "cert": certificates.server_cert.read_text()}
    assert admin.requests == [("POST", "/meshes/m/ca/provided/certificates", sent)]

    certificate = x509.load_pem_x509_certificate(certificates.server_cert.read_bytes())
    header, line = connected(*CERTIFICATES, "list", "--mesh=m").out.splitlines()
    names = ["ID", "COMMON NAME", "SERIAL NUMBER", "NOT VALID BEFORE", "NOT VALID AFTER", "SHA-1 FINGERPRINT"]
    assert [part.strip() for part in header.split("   ") if part.strip()] == names
    assert [part.strip() for part in line.split("   ") if part.strip()] == [
        "1-2-3",
        "kuma",
        str(certificate.serial_number),
        certificate.not_valid_before_utc.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
        certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
        certificate.fingerprint(hashes.SHA1()).hex(),
    ]
    assert "PRIVATE" not in connected(*CERTIFICATES, "list", "--mesh=m").out

    removed = connected(*CERTIFICATES, "delete", "--id", "1-2-3", "--mesh", "m")
    assert (removed.code, removed.out) == (0, 'removed certificate "1-2-3"\n')
    assert connected(*CERTIFICATES, "list", "--mesh=m").out == "   ".join(names) + "\n"


def test_a_mesh_without_provided_ca(connected: Call, server: FakeServer, admin: FakeAdmin) -> None:
    catalog(server, local=admin.url)
    result = connected(*CERTIFICATES, "list")
    assert (result.code, result.err) == (1, "Error: Could not retrieve signing certs (Not found)\n")


def test_what_is_no_certificate_is_still_listed(
    connected: Call, server: FakeServer, admin: FakeAdmin
) -> None:
    catalog(server, local=admin.url)
    admin.kept["/meshes/default"] = [{"id": "x\x1b[31m", "cert": "nonsense"}]
    result = connected(*CERTIFICATES, "list")
    assert (result.code, "not a certificate" in result.out, "\x1b" in result.out) == (0, True, False)


def test_files_are_read_before_anything_is_sent(connected: Call, server: FakeServer, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00")
    large = tmp_path / "large"
    large.write_text("x" * (1024 * 1024 + 1))
    for path, words in (
        (tmp_path / "none", "No such file or directory"),
        (binary, "is not PEM"),
        (large, "is larger than 1048576 bytes"),
    ):
        result = connected(*CERTIFICATES, "add", "--key-file", str(path), "--cert-file", str(path))
        assert (result.code, server.requests) == (1, [])
        assert result.err.startswith(f'Error: could not read the key file: "{path}"')
        assert words in result.err
    missing = connected(*CERTIFICATES, "add")
    assert missing.err == 'Error: required flag(s) "cert-file", "key-file" not set\n'


@pytest.mark.parametrize("body", [b"", b"[]", b'{"cert": "x"}', b"3"])
def test_an_answer_without_an_id(
    connected: Call, server: FakeServer, admin: FakeAdmin, certificates: Certificates, body: bytes
) -> None:
    catalog(server, local=admin.url)
    admin.replies["POST", "/meshes/default/ca/provided/certificates"] = Reply(200, body)
    files = ("--key-file", str(certificates.server_key), "--cert-file", str(certificates.server_cert))
    assert "did not answer with its id" in connected(*CERTIFICATES, "add", *files).err
