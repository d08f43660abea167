"""The envelope of secrets at rest: what comes back, what does not open, and that its format stays."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.errors import KumaError
from kuma_core.model import ResourceKey
from kuma_core.resources import encryption
from kuma_core.resources.encryption import MAGIC, PLAIN, Key, Keyring, new_key

OLD, NEW = Key(bytes(range(32))), Key(b"\xff" * 32)
PIN = ResourceKey("Secret", "shop", "pin")
ENVELOPE = (
    "006b756d6100"  # magic
    "01"  # format
    "942a9d47f3f83c0d"  # id of the key 00 01 … 1f
    "101112131415161718191a1b"  # nonce
    "168bf577d74e236ff583796603cc5bb559a49da0"  # ciphertext of "kuma" and tag
)
"""Must open for ever: whoever changes the format gives it another number and keeps reading this one."""

keys = st.binary(min_size=32, max_size=32).map(Key)
names = st.builds(ResourceKey, st.text(max_size=9), st.text(max_size=20), st.text(max_size=20))


def test_the_format_is_the_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption.os, "urandom", lambda count: bytes(range(16, 16 + count)))
    assert Keyring([OLD]).encrypt(PIN, b"kuma").hex() == ENVELOPE
    assert Keyring([NEW, OLD]).decrypt(PIN, bytes.fromhex(ENVELOPE)) == b"kuma"


def test_the_golden_envelope_is_aes_256_gcm_over_the_documented_data() -> None:
    """Opened without our code, as ``docs/reference/secrets.md`` says."""
    raw = bytes.fromhex(ENVELOPE)
    bound = raw[:15] + b"\0\0\0\6Secret" + b"\0\0\0\4shop" + b"\0\0\0\3pin"
    assert raw[7:15] == hashlib.sha256(b"kuma-key-id\0" + bytes(range(32))).digest()[:8]
    assert AESGCM(bytes(range(32))).decrypt(raw[15:27], raw[27:], bound) == b"kuma"


@given(st.lists(keys, min_size=1, max_size=4), names, st.binary(max_size=200))
def test_every_key_of_a_ring_reads_what_it_wrote(many: list[Key], name: ResourceKey, value: bytes) -> None:
    for key in many:
        stored = Keyring([key]).encrypt(name, value)
        ring = Keyring(many)
        assert ring.decrypt(name, stored) == value
        assert ring.key_id_of(stored) == key.id


@given(names, names, st.binary(max_size=40))
def test_an_envelope_opens_for_its_own_name_alone(one: ResourceKey, other: ResourceKey, value: bytes) -> None:
    stored = Keyring([OLD]).encrypt(one, value)
    if one == other:
        assert Keyring([OLD]).decrypt(other, stored) == value
    else:
        with pytest.raises(ValueError, match="another name"):
            Keyring([OLD]).decrypt(other, stored)


def test_names_cannot_be_shifted_into_each_other() -> None:
    stored = Keyring([OLD]).encrypt(ResourceKey("Secret", "ab", "c"), b"x")
    with pytest.raises(ValueError, match="another name"):
        Keyring([OLD]).decrypt(ResourceKey("Secret", "a", "bc"), stored)


@given(st.binary(max_size=40), st.data())
def test_no_bit_can_be_flipped(value: bytes, data: st.DataObject) -> None:
    stored = Keyring([OLD]).encrypt(PIN, value)
    bit = data.draw(st.integers(0, 8 * len(stored) - 1))
    changed = bytearray(stored)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"it was changed|it is encrypted"):
        Keyring([OLD, NEW]).decrypt(PIN, bytes(changed))


@given(st.binary(max_size=40), st.data())
def test_what_was_cut_off_does_not_open(value: bytes, data: st.DataObject) -> None:
    stored = Keyring([OLD]).encrypt(PIN, value)
    length = data.draw(st.integers(len(MAGIC), len(stored) - 1))
    with pytest.raises(ValueError, match=r"cut off|was changed"):
        Keyring([OLD]).decrypt(PIN, stored[:length])


def test_equal_values_never_look_alike() -> None:
    ring, value = Keyring([OLD]), b"a canary of some length"
    stored = {ring.encrypt(PIN, value) for _ in range(50)}
    assert len(stored) == 50
    assert not any(value in envelope for envelope in stored)


@given(st.binary(max_size=60).filter(lambda value: not set(b"kuma") & set(value)))
def test_in_the_clear_a_value_is_stored_as_it_is(value: bytes) -> None:
    for ring in (Keyring(), Keyring([OLD], in_clear=True)):
        assert ring.encrypt(PIN, value) == value
        assert (ring.key_id, ring.key_id_of(value)) == (PLAIN, PLAIN)
        assert Keyring([OLD]).decrypt(PIN, value) == value


def test_a_ring_that_is_in_the_clear_still_reads_what_is_encrypted() -> None:
    assert Keyring([OLD], in_clear=True).decrypt(PIN, Keyring([OLD]).encrypt(PIN, b"kuma")) == b"kuma"


def test_a_value_that_looks_encrypted_is_not_stored_in_the_clear() -> None:
    with pytest.raises(KumaError, match=r'name="pin".*begins as an encrypted one'):
        Keyring().encrypt(PIN, MAGIC + b"x")
    ring = Keyring([OLD])
    assert ring.decrypt(PIN, ring.encrypt(PIN, MAGIC + b"x")) == MAGIC + b"x"


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        (Keyring(), "no key is configured; set store.encryption.keyFile"),
        (
            Keyring([NEW]),
            f"encrypted with the key {OLD.id}, which is not in the file of store.encryption.keyF",
        ),
    ],
)
def test_a_missing_key_is_named(ring: Keyring, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ring.decrypt(PIN, Keyring([OLD]).encrypt(PIN, b"kuma"))


def test_a_newer_format_is_told_from_damage() -> None:
    stored = Keyring([OLD]).encrypt(PIN, b"kuma")
    with pytest.raises(ValueError, match="a format that this version does not know"):
        Keyring([OLD]).decrypt(PIN, MAGIC + b"\2" + stored[7:])


def test_keys_are_random_and_shown_by_nothing() -> None:
    one, other = new_key(), new_key()
    assert one.secret != other.secret
    assert len(one.secret) == 32
    for shown in (repr(one), str(one), repr(Keyring([one])), repr(vars(Keyring([one])))):
        assert one.secret.hex() not in shown
        assert repr(one.secret)[2:-1] not in shown
