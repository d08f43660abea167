"""``generate tls-certificate`` and ``completion``."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kuma_core.kumactl import tls_pair

from .conftest import Call

TLS = ("generate", "tls-certificate")


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, tuple[str, ...]]:
    key, cert = tmp_path / "k.pem", tmp_path / "c.pem"
    return key, cert, ("--key-file", str(key), "--cert-file", str(cert))


Places = tuple[Path, Path, tuple[str, ...]]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_pair_for_a_server(kumactl: Call, places: Places) -> None:
    key_file, cert_file, flags = places
    result = kumactl(
        *TLS, "--type=server", "--cp-hostname", "cp.example,10.0.0.1", "--cp-hostname=::1", *flags
    )
    assert (result.code, result.err) == (0, "")
    assert (
        result.out
        == f"Certificates generated\nKey was saved in: {key_file}\nCert was saved in: {cert_file}\n"
    )
    assert (mode(key_file), mode(cert_file)) == (0o400, 0o644)
    assert key_file.read_bytes().startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    assert cert.public_key() == key.public_key()
    cert.verify_directly_issued_by(cert)
    assert cert.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kuma")])
    assert cert.serial_number < 2**128
    assert cert.not_valid_after_utc - cert.not_valid_before_utc == timedelta(days=3650)
    assert abs(cert.not_valid_before_utc - datetime.now(UTC)) < timedelta(minutes=5)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cp.example", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.0.0.1"), ip_address("::1")]
    assert cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_encipherment, usage.digital_signature, usage.key_cert_sign) == (True, True, True)
    extended = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_pair_for_a_client(kumactl: Call, places: Places) -> None:
    _, cert_file, flags = places
    assert kumactl(*TLS, "--type", "client", *flags).code == 0
    cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
    extended = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_the_defaults_are_in_the_working_folder(
    kumactl: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = kumactl(*TLS, "--type", "client")
    assert result.out.splitlines()[1:] == ["Key was saved in: key.pem", "Cert was saved in: cert.pem"]
    assert {"key.pem", "cert.pem"} <= set(os.listdir(tmp_path))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), 'required flag(s) "type" not set'),
        (("--type", "peer"), '--type must be client or server, but is "peer"'),
        (("--type", "server"), "at least one hostname has to be given"),
        (("--type", "client", "--cp-hostname", "a"), "has no hostname"),
        (("--type", "server", "--cp-hostname", "a b"), '"a b" is neither a hostname nor an IP address'),
        (("--type", "server", "--cp-hostname", "http://a"), "neither a hostname nor"),
        (("--type", "server", "--cp-hostname", "a,,b"), '"" is neither a hostname nor'),
    ],
)
def test_wrong_flags(kumactl: Call, places: Places, argv: tuple[str, ...], words: str) -> None:
    key, cert, flags = places
    result = kumactl(*TLS, *argv, *flags)
    assert (result.code, key.exists(), cert.exists()) == (1, False, False)
    assert words in result.err


def test_a_key_is_replaced_only_with_overwrite(kumactl: Call, places: Places) -> None:
    key, cert, flags = places
    argv = (*TLS, "--type", "client", *flags)
    assert kumactl(*argv).code == 0
    before = key.read_text(), cert.read_text()
    again = kumactl(*argv)
    assert (
        again.err
        == f'Error: could not write the key file: "{key}" exists already; use --overwrite to replace it\n'
    )
    assert (key.read_text(), cert.read_text()) == before
    assert kumactl(*argv, "--overwrite").code == 0
    assert (key.read_text() != before[0], cert.read_text() != before[1]) == (True, True)
    assert (mode(key), mode(cert)) == (0o400, 0o644)
    assert sorted(os.listdir(key.parent)) == ["c.pem", "home", "k.pem"]


def test_what_cannot_be_written_leaves_nothing(kumactl: Call, places: Places, tmp_path: Path) -> None:
    key, _, _ = places
    nowhere = tmp_path / "none" / "c.pem"
    result = kumactl(*TLS, "--type", "client", "--key-file", str(key), "--cert-file", str(nowhere))
    assert result.err == f'Error: could not write the cert file: "{nowhere}": No such file or directory\n'
    assert os.listdir(tmp_path) == ["home"]
    same = kumactl(*TLS, "--type", "client", "--key-file", str(key), "--cert-file", str(key))
    assert same.err == "Error: --key-file and --cert-file must be two files\n"


def test_the_key_is_never_readable_by_others(tmp_path: Path) -> None:
    key, cert = tmp_path / "k", tmp_path / "c"
    pair = tls_pair.Pair(b"secret", b"public")
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for entry in os.scandir(tmp_path):
                with suppress(OSError):
                    if entry.name.startswith("k"):
                        seen.add(mode(Path(entry.path)))

    before = os.umask(0)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in range(2000):
            tls_pair.save(pair, str(key), str(cert))
            key.unlink()
            if seen:
                break
    finally:
        done.set()
        thread.join()
        os.umask(before)
    assert seen == {0o400}


def test_without_the_library_there_is_one_sentence(
    kumactl: Call, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    result = kumactl(*TLS, "--type", "client", *places[2])
    assert result.err == (
        "Error: this command needs the library cryptography: pip install '.[tls]' in a checkout\n"
    )


def test_1_completion_of_bash_works(kumactl: Call, tmp_path: Path) -> None:
    script = kumactl("completion", "bash").out
    (tmp_path / "kumactl").write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from kuma_core.kumactl.main import main; main()' \"$@\"\n"
    )
    (tmp_path / "kumactl").chmod(0o755)
    probe = (
        "COMP_WORDS=(kumactl generate da); COMP_CWORD=2; _kumactl_completion kumactl; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{probe}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "dataplane-token\n", done.stderr


@pytest.mark.parametrize(("shell", "words"), [("zsh", "#compdef kumactl"), ("fish", "complete --no-files")])
def test_1_completion_of_other_shells(kumactl: Call, shell: str, words: str) -> None:
    script = kumactl("completion", shell).out
    assert words in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", script], check=True, timeout=60)
