"""Secrets: what the control plane itself keeps in the store and no API ever shows.

Values are bytes. They are in no ``repr``, no log and no error; names are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kuma_core.errors import AlreadyExists, Conflict, NotFound, UnreadableResource
from kuma_core.model import Resource, ResourceKey
from kuma_core.resources import codec
from kuma_core.resources.contract import OwnSecret, Record, Secret, Store
from kuma_core.resources.encryption import Keyring
from kuma_core.specs.secret import SecretSpec

SECRET = "Secret"

CONTROL_PLANE_MESH = "default"
"""Where the control plane's own secrets are, whether that mesh exists or not, as Kuma 0.3.1 had them."""


class Cipher(Protocol):
    """Encrypts secrets at rest. ``key`` says which one it is, so that nobody can swap two of them unnoticed."""

    @property
    def key_id(self) -> str:
        """The id of the key that encrypts now; ``""`` if none does."""
        ...

    def key_id_of(self, stored: bytes) -> str:
        """The id of the key that a stored value needs; ``""`` for one in the clear."""
        ...

    def encrypt(self, key: ResourceKey, value: bytes) -> bytes:
        """What the store gets for a value."""
        ...

    def decrypt(self, key: ResourceKey, stored: bytes) -> bytes:
        """The value; raises ``ValueError``, whose text holds nothing of it, if it was not encrypted so."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """All stored secrets: how many there are by the id of their key (``""``: in the clear), and what is wrong
    with those that cannot be read."""

    readable: Mapping[str, int]
    unreadable: tuple[UnreadableResource, ...] = ()


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """How many secrets we encrypted anew, how many did not need it, and what is wrong with the others."""

    changed: int
    unchanged: int
    unreadable: tuple[UnreadableResource, ...] = ()


class SecretManager:
    """Reads and writes secrets. Safe for use from several threads and by several control planes at once.

    The mesh of a secret need not exist: authorities make what a mesh needs before the mesh.
    """

    def __init__(self, store: Store, cipher: Cipher | None = None, own: Iterable[OwnSecret] = ()) -> None:
        self._store = store
        self._cipher = cipher or Keyring()
        self._own = tuple((re.compile(kind.pattern), kind) for kind in own)

    def get(self, mesh: str, name: str) -> Secret:
        """The secret; raises ``NotFound``, ``UnreadableResource`` or ``StoreUnavailable``."""
        return self._decode(self._store.get(_key(mesh, name)))

    def find(self, mesh: str, name: str) -> Secret | None:
        """As ``get``, with ``None`` for a secret that does not exist."""
        try:
            return self.get(mesh, name)
        except NotFound:
            return None

    def names(self, mesh: str) -> list[str]:
        """The names of all secrets of a mesh, sorted."""
        return [record.key.name for record in self._store.list(SECRET, mesh)]

    def all(self, mesh: str | None = None) -> list[Secret]:
        """Every secret, of one mesh if it is named, sorted by mesh and name. Raises as ``get`` does."""
        return [self._decode(record) for record in self._store.list(SECRET, mesh)]

    def create(self, mesh: str, name: str, value: bytes) -> Secret:
        """Store a new secret; raises ``AlreadyExists``."""
        key = _key(mesh, name)
        return Secret(mesh, name, value, self._store.create(key, self._encode(key, value)).version)

    def ensure(self, mesh: str, name: str, make: Callable[[], bytes]) -> Secret:
        """The secret that is there, or else a new one with what ``make`` returns.

        Of several that try at once one succeeds, and all get its value.
        """
        found = self.find(mesh, name)
        if found:
            return found
        try:
            return self.create(mesh, name, make())
        except AlreadyExists:
            return self.get(mesh, name)

    def replace(self, secret: Secret, value: bytes) -> Secret:
        """Replace the value of a secret as it was read; raises ``Conflict`` if somebody else did so before."""
        key = _key(secret.mesh, secret.name)
        record = self._store.update(key, self._encode(key, value), secret.version)
        return Secret(secret.mesh, secret.name, value, record.version)

    def delete(self, mesh: str, name: str) -> None:
        """Remove a secret; raises ``NotFound``."""
        self._store.delete(_key(mesh, name))

    def kind_of(self, mesh: str, name: str) -> OwnSecret | None:
        """What a plugin registered about a secret of the control plane's own; ``None`` for all others."""
        if mesh != CONTROL_PLANE_MESH:
            return None
        return next((kind for pattern, kind in self._own if pattern.fullmatch(name)), None)

    def is_own(self, secret: Secret) -> bool:
        """Whether a secret belongs to the control plane itself, and not to its mesh."""
        return self.kind_of(secret.mesh, secret.name) is not None

    def outlives_its_mesh(self, key: ResourceKey) -> bool:
        """Whether a secret outlives its mesh, as the control plane's own do.

        Else deleting the mesh ``default`` would make every token of every mesh invalid.
        """
        return key.type == SECRET and self.kind_of(key.mesh, key.name) is not None

    def survey(self) -> Survey:
        """Decrypt every secret once, and remember none. Raises ``StoreUnavailable``."""
        readable: dict[str, int] = {}
        unreadable = []
        for record in self._store.list(SECRET):
            try:
                self._decode(record)
            except UnreadableResource as error:
                unreadable.append(error)
                continue
            id = self._key_id_of(record)
            readable[id] = readable.get(id, 0) + 1
        return Survey(readable, tuple(unreadable))

    def rekey(self) -> Rekeyed:
        """Encrypt every secret with the key that encrypts now, unless it is so already.

        Each by compare-and-set: what others write or delete meanwhile stays as they left it, or is encrypted
        as they left it. May be repeated. One that cannot be read is left as it is. Raises ``StoreUnavailable``.
        """
        changed, unreadable, records = 0, [], self._store.list(SECRET)
        for record in records:
            try:
                changed += self._rekey(record)
            except UnreadableResource as error:
                unreadable.append(error)
        return Rekeyed(changed, len(records) - changed - len(unreadable), tuple(unreadable))

    def _rekey(self, record: Record) -> bool:
        """Whether we wrote the secret. Compare-and-set loses against others, who then have progressed."""
        while True:
            secret = self._decode(record)
            if self._key_id_of(record) == self._cipher.key_id:
                return False
            try:
                self.replace(secret, secret.value)
                return True
            except Conflict:
                try:
                    record = self._store.get(record.key)
                except NotFound:
                    return False

    def _key_id_of(self, record: Record) -> str:
        return self._cipher.key_id_of(_stored_bytes(record))

    def _encode(self, key: ResourceKey, value: bytes) -> str:
        return codec.encode(Resource(key, SecretSpec(value=self._cipher.encrypt(key, value))))

    def _decode(self, record: Record) -> Secret:
        """Not through the codec's cache: a deleted secret is not to stay in memory."""
        key = record.key
        try:
            value = self._cipher.decrypt(key, _stored_bytes(record))
            return Secret(key.mesh, key.name, value, record.version)
        except json.JSONDecodeError:
            problem = "it is not JSON"
        except ValueError as error:
            problem = str(error)
        raise UnreadableResource(f"the stored secret {key} cannot be read: {problem}")


def _stored_bytes(record: Record) -> bytes:
    return SecretSpec.from_stored(json.loads(record.document)).value


def _key(mesh: str, name: str) -> ResourceKey:
    return ResourceKey(SECRET, mesh, name)
