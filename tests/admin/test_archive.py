"""The archive of secrets: what comes back with the passphrase, what does not open, and that its format stays."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_core.builtin.archive import archive
from kuma_core.builtin.archive.archive import ArchivedSecret, check_passphrase, seal, unseal
from kuma_core.errors import InvalidResource
from tests.examples import examples

PASSPHRASE = "correct horse battery"
PIN = ArchivedSecret("shop", "pin", b"a canary of some length")
GOLDEN = (
    "000102030405060708090a0b0c0d0e0f000102030405060708090a0b"  # salt, nonce
    "92adfb844a969153c2f82a4d293e2a6251e34c63c63953748fc4d033538eb6b1c908f375534ba373c7af0be164ad60bf"
    "0d636264b2aa79d15f5bd32d63c2294537f0ca62855373e235d5cdd071a6a19eeec2dc23a70dc132b63ba0c265a6c51b"
    "0e57bf4928"  # ciphertext, tag
)
"""Must open for ever: whoever changes the format gives it another number and keeps reading this one."""

secrets = st.lists(
    st.builds(ArchivedSecret, st.text(max_size=9), st.text(max_size=9), st.binary(max_size=60)),
    max_size=4,
    unique_by=lambda secret: (secret.mesh, secret.name),
)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in no time: for what does not depend on its cost."""
    monkeypatch.setattr(
        archive, "_key", lambda passphrase, salt: hashlib.sha256(salt + passphrase.encode()).digest()
    )


def refused(document: Any, passphrase: str = PASSPHRASE) -> str:
    with pytest.raises(InvalidResource) as caught:
        unseal(document, passphrase)
    assert "canary" not in str(caught.value)
    assert passphrase not in str(caught.value)
    return caught.value.details


def test_the_format_is_the_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.os, "urandom", lambda count: bytes(range(count)))
    document = seal([PIN], PASSPHRASE)
    raw = base64.b64decode("".join(document["data"].split()))
    assert raw.hex() == GOLDEN
    assert document == {
        "type": "SecretsArchive",
        "format": 1,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "data": document["data"],
    }
    assert unseal(document, PASSPHRASE) == [PIN]


def test_the_golden_archive_is_what_the_page_says() -> None:
    """Opened without our code: scrypt and AES-256-GCM, as ``docs/reference/secrets.md`` has it."""
    raw = bytes.fromhex(GOLDEN)
    key = hashlib.scrypt(PASSPHRASE.encode(), salt=raw[:16], n=32768, r=8, p=3, dklen=32, maxmem=2**27)
    text = AESGCM(key).decrypt(raw[16:28], raw[28:], b"kuma-secrets-archive\0\1")
    value = base64.b64encode(PIN.value).decode()
    assert json.loads(text) == {"secrets": [{"mesh": "shop", "name": "pin", "value": value}]}


@given(secrets)
@settings(max_examples=examples(5, chaos=50))
def test_what_was_sealed_comes_back(found: list[ArchivedSecret]) -> None:
    assert unseal(seal(found, PASSPHRASE), PASSPHRASE) == found


def test_it_survives_yaml_and_other_line_ends() -> None:
    document = seal([PIN], PASSPHRASE)
    assert max(map(len, document["data"].splitlines())) == 76
    document["data"] = document["data"].replace("\n", "\r\n  ")
    assert unseal(document, PASSPHRASE) == [PIN]


def test_another_passphrase() -> None:
    assert "the passphrase is not the one that it was made with" in refused(
        seal([PIN], PASSPHRASE), "another one …"
    )


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "Mesh"}, "its type is not SecretsArchive"),
        ({"format": 2}, "it has the format 2, and this control plane knows 1; upgrade it"),
        ({"format": None}, "it has the format None"),
        ({"data": 3}, "its data is no text"),
        ({"data": "ä"}, "its data is no base64"),
        ({"data": "AAA"}, "its data is no base64: it was cut off or changed"),
        ({"data": "AAAA"}, "its data is not what its sha256 says: it was cut off or changed"),
        ({"sha256": 3}, "its data is not what its sha256 says"),
        ({"data": "", "sha256": hashlib.sha256(b"").hexdigest()}, "the passphrase is not the one"),
    ],
)
def test_what_is_no_archive(change: dict[str, Any], problem: str) -> None:
    assert problem in refused({**seal([PIN], PASSPHRASE), **change})


@pytest.mark.parametrize("document", [None, [], "x", {}])
def test_what_is_not_even_a_document(document: Any) -> None:
    assert "its type is not SecretsArchive" in refused(document)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"secrets": 3}',
        b'{"secrets": [{"mesh": "a"}]}',
        b'{"secrets": [{"mesh": "a", "name": "b", "value": 3}]}',
        b"[" * 100_000,
    ],
)
def test_anything_may_have_been_encrypted(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(archive, "_dump", lambda secrets: text.decode())
    assert "what is in it is no list of secrets" in refused(seal([], PASSPHRASE))


@pytest.mark.usefixtures("cheap")
def test_a_secret_twice() -> None:
    assert "it holds a secret twice" in refused(seal([PIN, PIN], PASSPHRASE))


@pytest.mark.usefixtures("cheap")
def test_too_many_secrets_are_refused_before_they_cannot_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_DATA", 100)
    with pytest.raises(InvalidResource) as caught:
        seal([PIN, ArchivedSecret("a", "b", bytes(100))], PASSPHRASE)
    assert "do not fit into one archive" in caught.value.details
    assert "--mesh" in caught.value.details


@pytest.mark.parametrize("passphrase", [None, "", "short", 123456789012, ["x"] * 12, "x" * 1025])
def test_a_passphrase_that_cannot_be_used(passphrase: Any) -> None:
    with pytest.raises(InvalidResource) as caught:
        check_passphrase(passphrase)
    assert [violation.field for violation in caught.value.violations] == ["passphrase"]
    assert "short" not in str(caught.value)


def test_a_passphrase_that_can() -> None:
    for passphrase in ("x" * 12, "x" * 1024, "ä\ud800" * 6):
        assert check_passphrase(passphrase) == passphrase
