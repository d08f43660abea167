"""The keys that sign dataplane tokens: Secrets that all control planes of one store share (7.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kuma_core.errors import KumaError, NotFound, StoreUnavailable, UnreadableResource
from kuma_core.resources.contract import Change
from kuma_core.resources.secrets import CONTROL_PLANE_MESH, SECRET, Secret, SecretManager

_log = structlog.get_logger("dataplane-tokens")

SIGNING_KEY = "dataplane-token-signing-key"
"""The first key; later ones end in ``-2``, ``-3`` and so on. The last one signs, all of them verify."""

BITS = 2048

_NAME = re.compile(rf"{SIGNING_KEY}(?:-([0-9]{{1,9}}))?")


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key. ``id`` is the ``kid`` of its tokens, computed from the public key."""

    id: str
    serial: int
    private: rsa.RSAPrivateKey = field(repr=False)

    @property
    def public(self) -> rsa.RSAPublicKey:
        """What verifies its tokens."""
        return self.private.public_key()


class SigningKeys:
    """Reads the keys from the store and remembers them until a change is hinted at. For several threads."""

    def __init__(self, secrets: SecretManager) -> None:
        self._secrets = secrets
        self._by_id: Mapping[str, Key] = {}
        self._stale = True

    def ensure(self) -> None:
        """Make the first key unless there is one, and read all. Of several control planes one succeeds; that is enough.

        Raises ``StoreUnavailable``, or ``KumaError`` if the keys that are there cannot be read.
        """
        if not self._read():
            self._secrets.ensure(CONTROL_PLANE_MESH, SIGNING_KEY, generate_key)
        self.forget()
        self._current()

    def changed(self, change: Change) -> None:
        """Take a hint of the store: what concerns the keys, or anything at all, has them read again."""
        key = change.key
        if key is None or (
            key.type == SECRET and key.mesh == CONTROL_PLANE_MESH and _NAME.fullmatch(key.name)
        ):
            self.forget()

    def forget(self) -> None:
        """Have the keys read again when they are next needed."""
        self._stale = True

    def to_sign(self) -> Key:
        """The newest key; raises ``KumaError`` if there is none."""
        known = self._current().values()
        if not known:
            raise KumaError(f"there is no key to sign tokens with ({SIGNING_KEY}); restart the control plane")
        return max(known, key=lambda key: key.serial)

    def to_verify(self, key_id: str) -> Key | None:
        """The key of a ``kid``, or ``None``."""
        return self._current().get(key_id)

    def _current(self) -> Mapping[str, Key]:
        """While the store is away, the keys that were good before are good still."""
        if self._stale:
            self._stale = False  # before reading: a hint that comes meanwhile is not lost
            try:
                self._by_id = self._read()
            except BaseException as error:
                self._stale = True
                if not (isinstance(error, StoreUnavailable) and self._by_id):
                    raise
        return self._by_id

    def _read(self) -> Mapping[str, Key]:
        found = {}
        for name in self._secrets.names(CONTROL_PLANE_MESH):
            match = _NAME.fullmatch(name)
            key = self._load(name, int(match[1] or 1)) if match else None
            if key:
                found[key.id] = key
        return MappingProxyType(found)

    def _load(self, name: str, serial: int) -> Key | None:
        """One that cannot be read costs its own tokens, not those of the others."""
        try:
            return load_key(self._secrets.get(CONTROL_PLANE_MESH, name), serial)
        except NotFound:
            return None  # deleted since it was listed
        except UnreadableResource as error:
            _log.error("a signing key is left out", problem=str(error))
            return None


def generate_key() -> bytes:
    """A new RSA key as PKCS#1 DER (API specification, 7.1)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def load_key(secret: Secret, serial: int) -> Key:
    """Read a key from its secret; raises ``UnreadableResource``, which shows nothing of it."""
    try:
        key = serialization.load_der_private_key(secret.value, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnreadableResource(f'the secret "{secret.name}" is no RSA key in DER')
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Key(hashlib.sha256(public).hexdigest()[:32], serial, key)
