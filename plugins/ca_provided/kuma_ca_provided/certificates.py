"""The uploaded certificates of a mesh and their keys, kept as one secret."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field

from kuma_core.sdk import InvalidResource, KumaError, NotFound, Secret, Secrets

ONE_ONLY = (
    "There is a signing certificate already, and a mesh has one. Delete it first, "
    "with 'kumactl manage ca provided certificates delete'"
)


def secret_name(mesh: str) -> str:
    """Where the certificates of a mesh are."""
    return f"providedca.{mesh}"


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """An uploaded certificate and its key, both in PEM; ``id`` is how its owner speaks of it."""

    id: str
    cert: bytes
    key: bytes = field(repr=False)


class SigningCertificates:
    """Reads and changes them. Each change is made to what was read, or raises ``Conflict``."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def find(self, mesh: str) -> tuple[Secret, list[SigningCertificate]] | None:
        """The secret and what it holds; ``None`` for a mesh that never had any. Raises ``KumaError``."""
        secret = self._secrets.find(mesh, secret_name(mesh))
        return (secret, _decode(secret)) if secret else None

    def add(self, mesh: str, cert: bytes, key: bytes) -> SigningCertificate:
        """Keep the certificate of a mesh, which need not exist; raises ``InvalidResource`` for a second one."""
        found = self.find(mesh)
        if found and found[1]:
            raise InvalidResource([], details=ONE_ONLY)
        added = SigningCertificate(str(uuid.uuid4()), cert, key)
        if found:
            self._secrets.replace(found[0], _encode([added]))
        else:
            self._secrets.create(mesh, secret_name(mesh), _encode([added]))
        return added

    def delete(self, mesh: str, id: str) -> None:
        """Forget a certificate and its key; raises ``NotFound``."""
        found = self.find(mesh)
        if not found or id not in [entry.id for entry in found[1]]:
            raise NotFound(f'the mesh "{mesh}" has no such signing certificate')
        secret, entries = found
        self._secrets.replace(secret, _encode([entry for entry in entries if entry.id != id]))


def _encode(entries: list[SigningCertificate]) -> bytes:
    written = [
        {
            "id": entry.id,
            "cert": base64.b64encode(entry.cert).decode(),
            "key": base64.b64encode(entry.key).decode(),
        }
        for entry in entries
    ]
    return json.dumps({"signingKeyCerts": written}).encode()


def _decode(secret: Secret) -> list[SigningCertificate]:
    """What the secret holds; ``null``, as Kuma writes it once all are deleted, is nothing."""
    try:
        found = json.loads(secret.value)["signingKeyCerts"] or []
        return [
            SigningCertificate(
                str(entry["id"]), base64.b64decode(entry["cert"]), base64.b64decode(entry["key"])
            )
            for entry in found
        ]
    except (ValueError, KeyError, TypeError):
        raise KumaError(
            f'the secret "{secret.name}" holds no signing certificates that can be read'
        ) from None
