"""Who signs for a mesh is read once for each version, and not kept for ever."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_core.ca import pki


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The certificates that were read, in order."""
    found: list[bytes] = []

    def load(certificate: bytes, key: bytes) -> Any:
        found.append(certificate)
        return object()

    monkeypatch.setattr(pki, "load_issuer", load)
    return found


def test_a_pair_is_read_once_for_each_version(read: list[bytes]) -> None:
    issuers = pki.Issuers()
    first = issuers.of("a", "1", lambda: (b"one", b""))
    assert issuers.of("a", "1", lambda: (b"one", b"")) is first
    assert issuers.of("a", "2", lambda: (b"two", b"")) is not first
    assert read == [b"one", b"two"]


def test_meshes_that_come_and_go_are_forgotten(read: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pki, "REMEMBERED_ISSUERS", 10)
    issuers = pki.Issuers()
    for number in range(95):
        issuers.of(f"mesh-{number}", "1", lambda: (b"", b""))
        assert len(issuers._read) <= 10
    issuers.of("mesh-94", "2", lambda: (b"new", b""))
    assert len(issuers._read) == 5, "a new version takes the place of the one before"
