"""Encryption of secrets at rest: AES-256-GCM, in an envelope that says which key it needs.

    magic (6 bytes) | format (1) | key id (8) | nonce (12) | ciphertext | tag (16)

Everything before the nonce is authenticated, and so are the type, the mesh and the name of the secret, each
with its length: an envelope does not open after somebody changed it or moved it to another name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kuma_core.errors import KumaError
from kuma_core.model import ResourceKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\0kuma\0"
"""How every envelope begins; no DER, PEM or JSON does."""

FORMAT = b"\1"
KEY_BYTES = 32
ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16

_START = len(MAGIC) + len(FORMAT)
_NONCE_AT = _START + ID_BYTES
_HEADER = _NONCE_AT + NONCE_BYTES

PLAIN = ""
"""Stands for the id of a key where there is none, since the value lies in the store in the clear."""

KEY_FILE = "store.encryption.keyFile (KUMA_STORE_ENCRYPTION_KEY_FILE)"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of 32 bytes, which no ``repr`` shows; its ``id`` comes from a hash of it and tells nothing of it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """16 hexadecimal digits."""
        return hashlib.sha256(b"kuma-key-id\0" + self.secret).digest()[:ID_BYTES].hex()


def new_key() -> Key:
    """A key of random bytes."""
    return Key(os.urandom(KEY_BYTES))


class Keyring:
    """A ``Cipher`` of several keys: the first one encrypts, each decrypts what it encrypted.

    With ``in_clear``, or without keys, nothing is encrypted any more, yet everything is still read. Values that
    were stored in the clear are always read.
    """

    def __init__(self, keys: Iterable[Key] = (), in_clear: bool = False) -> None:
        keys = list(keys)
        self._configured = in_clear or bool(keys)
        self._keys = {key.id: _aead(key) for key in keys}
        self.key_id = PLAIN if in_clear or not keys else keys[0].id

    @property
    def is_configured(self) -> bool:
        """Whether the operator said how to store secrets."""
        return self._configured

    def encrypt(self, key: ResourceKey, value: bytes) -> bytes:
        """The envelope of a value, another one at each call; the value itself where there is to be no encryption."""
        if self.key_id == PLAIN:
            if _is_envelope(value):
                raise KumaError(
                    f"the secret {key} cannot be stored in the clear: it begins as an encrypted one"
                )
            return value
        start = MAGIC + FORMAT + bytes.fromhex(self.key_id)
        nonce = os.urandom(NONCE_BYTES)
        return start + nonce + self._keys[self.key_id].encrypt(nonce, value, _bound_to(start, key))

    def decrypt(self, key: ResourceKey, stored: bytes) -> bytes:
        """The value of an envelope, or what was stored in the clear; raises ``ValueError`` that tells why not."""
        if not _is_envelope(stored):
            return stored
        aead = self._aead_for(stored)
        from cryptography.exceptions import InvalidTag

        start, nonce = stored[:_NONCE_AT], stored[_NONCE_AT:_HEADER]
        try:
            return aead.decrypt(nonce, stored[_HEADER:], _bound_to(start, key))
        except InvalidTag:
            raise ValueError(_CHANGED) from None

    def key_id_of(self, stored: bytes) -> str:
        """The id of the key that encrypted a value; ``PLAIN`` for one in the clear."""
        return stored[_START:_NONCE_AT].hex() if _is_envelope(stored) else PLAIN

    def _aead_for(self, stored: bytes) -> AESGCM:
        if not stored.startswith(MAGIC):
            raise ValueError(_CHANGED)
        if stored[len(MAGIC) : _START] not in (FORMAT, b""):
            raise ValueError("it is encrypted in a format that this version does not know; use the newer one")
        if len(stored) < _HEADER + TAG_BYTES:
            raise ValueError("it was cut off; restore it from a backup of the store")
        id = self.key_id_of(stored)
        if id not in self._keys:
            missing = f"which is not in the file of {KEY_FILE}; add it there" if self._keys else _NO_KEY
            raise ValueError(f"it is encrypted with the key {id}, {missing}")
        return self._keys[id]


_CHANGED = "it was changed, or encrypted for another name; restore it from a backup of the store"
_NO_KEY = f"and no key is configured; set {KEY_FILE}"


def _aead(key: Key) -> AESGCM:
    """Import when called: cryptography is heavy, and commands that need no secrets import this room."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.secret)


def _is_envelope(stored: bytes) -> bool:
    """Whether a value is no plain one, even if its beginning is damaged: no plain value is so much like one."""
    return sum(a == b for a, b in zip(stored, MAGIC, strict=False)) >= len(MAGIC) - 2


def _bound_to(start: bytes, key: ResourceKey) -> bytes:
    parts = [part.encode() for part in (key.type, key.mesh, key.name)]
    return start + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
