"""The keys that sign dataplane tokens: Secrets that all control planes of one store share."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kuma_core.builtin.tokens.contract import SIGNING_KEY
from kuma_core.builtin.tokens.remembered import Remembered
from kuma_core.errors import InvalidResource, KumaError, NotFound, UnreadableResource
from kuma_core.resources.contract import Change, Secret, Secrets
from kuma_core.resources.secrets import CONTROL_PLANE_MESH, SECRET

_log = structlog.get_logger("dataplane-tokens")

BITS = 2048
MAX_KEYS = 20
"""How many keys there may be before somebody has to retire old ones."""

_NAME = re.compile(rf"{SIGNING_KEY}(?:-([0-9]{{1,9}}))?")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key. ``id`` is the ``kid`` of its tokens, computed from the public key; ``serial`` counts from 1.

    ``version`` is the store's word for the state of its secret.
    """

    id: str
    serial: int
    private: rsa.RSAPrivateKey = field(repr=False)
    version: str = ""

    @property
    def public(self) -> rsa.RSAPublicKey:
        """What verifies its tokens."""
        return self.private.public_key()


_Keys = Mapping[str, Key]


class SigningKeys:
    """Reads the keys from the store and remembers them until the store hints at a change. For several threads."""

    def __init__(self, secrets: Secrets, clock: Callable[[], float] = time.monotonic) -> None:
        self._secrets = secrets
        self.memory: Remembered[_Keys] = Remembered(self._read, clock)

    def ensure(self) -> None:
        """Make the first key unless there is one, and read all. Of several control planes one succeeds; that is enough.

        Raises ``StoreUnavailable``, or ``KumaError`` if it cannot read the keys that are there.
        """
        if not self._read(None):
            self._secrets.ensure(CONTROL_PLANE_MESH, SIGNING_KEY, generate_key)
        self.memory.forget()
        self.memory.get()

    def changed(self, change: Change) -> None:
        """Take a hint of the store: what concerns the keys, or anything at all, has them read again."""
        key = change.key
        if key is None or (key.type == SECRET and key.mesh == CONTROL_PLANE_MESH and serial_of(key.name)):
            self.memory.forget()

    def all(self) -> list[Key]:
        """Every key, the one that signs first."""
        return sorted(self.memory.get().values(), key=lambda key: -key.serial)

    def to_sign(self) -> Key:
        """The newest key; raises ``KumaError`` if there is none."""
        known = self.all()
        if not known:
            raise KumaError(f"there is no key to sign tokens with ({SIGNING_KEY}); restart the control plane")
        return known[0]

    def to_verify(self, key_id: str) -> Key | None:
        """The key of a ``kid``, or ``None``.

        A key that we do not know may be so new that no hint of it came yet: we ask the store, though not more than
        once a second. Raises ``StoreUnavailable``.
        """
        return self.known(key_id) or (self.memory.fresh().get(key_id) if _ID.fullmatch(key_id) else None)

    def known(self, key_id: str) -> Key | None:
        """The key of a ``kid``, if we remember it, or ``None``."""
        return self.memory.get().get(key_id)

    def rotate(self) -> Key:
        """Make the next key, which signs from now on; the others go on to verify.

        Of several that rotate at the same moment one makes the key, and all get it. Raises ``InvalidResource`` if
        there are too many keys.
        """
        serials = self._serials()
        if len(serials) >= MAX_KEYS:
            details = (
                f"There are {len(serials)} signing keys already, and no more can be: retire old ones first"
            )
            raise InvalidResource([], details)
        serial = max(serials, default=0) + 1
        secret = self._secrets.ensure(CONTROL_PLANE_MESH, name_of(serial), generate_key)
        self.memory.forget()
        return load_key(secret, serial)

    def retire(self, key_id: str) -> Key:
        """Delete a key, and return it: authenticators refuse its tokens from now on, and their streams end.

        Raises ``NotFound``, or ``InvalidResource`` for the key that signs.
        """
        self.memory.forget()
        key = self.known(key_id)
        if key is None:
            raise NotFound("there is no signing key with this id")
        if key.serial >= self.to_sign().serial:
            details = "This is the key that signs new tokens: make another one first, then retire this one"
            raise InvalidResource([], details)
        self._secrets.delete(CONTROL_PLANE_MESH, name_of(key.serial))
        self.memory.forget()
        return key

    def _serials(self) -> list[int]:
        """The serials of all keys, readable or not: the next key must be newer than any of them."""
        return [serial for name in self._secrets.names(CONTROL_PLANE_MESH) if (serial := serial_of(name))]

    def _read(self, before: _Keys | None) -> _Keys:
        kept = {key.serial: key for key in (before or {}).values()}
        found = (self._load(serial, kept.get(serial)) for serial in self._serials())
        return MappingProxyType({key.id: key for key in found if key})

    def _load(self, serial: int, before: Key | None) -> Key | None:
        """A key that cannot be read costs its own tokens, not those of the others; nor its own if we knew it before.

        We do not load one again that is as it was before: that takes some 50 ms.
        """
        try:
            secret = self._secrets.get(CONTROL_PLANE_MESH, name_of(serial))
            return before if before and before.version == secret.version else load_key(secret, serial)
        except NotFound:
            return None  # somebody deleted it since we listed it
        except UnreadableResource as error:
            _log.error("a signing key cannot be read", problem=str(error), remembered=before is not None)
            return before


def name_of(serial: int) -> str:
    """The name of the secret of the key with that serial."""
    return SIGNING_KEY if serial == 1 else f"{SIGNING_KEY}-{serial}"


def serial_of(name: str) -> int:
    """The serial of the key in the secret of that name; 0 for one that holds no signing key."""
    match = _NAME.fullmatch(name)
    serial = int(match[1] or 1) if match else 0
    return serial if name_of(serial) == name else 0


def generate_key() -> bytes:
    """A new RSA key as PKCS#1 DER."""
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
    return Key(hashlib.sha256(public).hexdigest()[:32], serial, key, secret.version)
