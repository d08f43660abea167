"""A root for each mesh, made once and kept as a secret that all control planes share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kuma_ca_builtin.root import new_root, next_root
from kuma_ca_builtin.roots import Kept, Root, decode, encode, secret_name
from kuma_core.sdk import (
    Conflict,
    InvalidResource,
    NotFound,
    Rotation,
    Secret,
    Secrets,
    Violation,
)
from kuma_core.sdk.pki import Issuers, sign_leaf

_ATTEMPTS = 5
"""How often a change is tried when others write the same secret at the same time."""


class BuiltinCa:
    """The provider. Safe for use from several threads."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._issuers = Issuers()

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """Nothing can be said in ``mtls.ca.builtin``."""
        return ()

    def ensure(self, mesh: str) -> None:
        """Make the root of a mesh unless there is one; of several that try at once, one does."""
        self._secrets.ensure(mesh, secret_name(mesh), lambda: encode(Kept((Root(*new_root(mesh)),))))

    def trust_anchors(self, mesh: str) -> Sequence[str]:
        """The certificates of all roots; none for a mesh without any."""
        found = self._find(mesh)
        return [root.cert.decode("ascii") for root in found[1].roots] if found else []

    def kept(self, mesh: str) -> Kept:
        """All roots, with their keys, and how far a rotation is; raises ``NotFound``."""
        return self._get(mesh)[1]

    def signer(self, mesh: str) -> str:
        """The certificate of the first root."""
        return self.kept(mesh).roots[0].cert.decode("ascii")

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A leaf signed by the first root."""
        secret, kept = self._get(mesh)
        first = kept.roots[0]
        issuer = self._issuers.of(mesh, secret.version, lambda: (first.cert, first.key))
        return sign_leaf(issuer, public_key, uris, ttl)

    def rotation(self, mesh: str) -> Rotation | None:
        """How far a rotation is; ``None`` for a mesh without roots, too."""
        found = self._find(mesh)
        return found[1].rotation if found else None

    def rotate(self, mesh: str) -> Rotation:
        """Have a new root trusted beside the one that signs."""
        new: Root | None = None
        for _ in range(_ATTEMPTS):
            secret, kept = self._get(mesh)
            if kept.rotation:
                raise InvalidResource([], details=_going_on(mesh, kept.rotation))
            new = new or Root(*next_root(mesh))
            begun = kept.rotated(new)
            if begun.rotation and self._replaced(secret, begun):
                return begun.rotation
        raise Conflict(f'the roots of the mesh "{mesh}" are being written by others all the time; try again')

    def advance(self, mesh: str, id: str) -> bool:
        """Have the new root sign, or forget the old one."""
        for _ in range(_ATTEMPTS):
            found = self._find(mesh)
            if not found or not found[1].rotation or found[1].rotation.id != id:
                return False
            if self._replaced(found[0], found[1].advanced()):
                return True
        return False

    def _find(self, mesh: str) -> tuple[Secret, Kept] | None:
        secret = self._secrets.find(mesh, secret_name(mesh))
        return (secret, decode(secret)) if secret else None

    def _get(self, mesh: str) -> tuple[Secret, Kept]:
        found = self._find(mesh)
        if found is None:
            raise NotFound(f'the mesh "{mesh}" has no root certificate; apply the mesh once more')
        return found

    def _replaced(self, secret: Secret, kept: Kept) -> bool:
        """Write what follows from what was read; whether nobody else wrote before."""
        try:
            self._secrets.replace(secret, encode(kept))
        except Conflict:
            return False
        return True


def _going_on(mesh: str, rotation: Rotation) -> str:
    return (
        f'The root of the mesh "{mesh}" is being rotated already: the stage "{rotation.stage.value}" began at '
        f"{rotation.since}. Wait for its end; 'kumactl manage ca builtin status --mesh={mesh}' shows it"
    )
