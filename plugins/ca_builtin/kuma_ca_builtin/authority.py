"""A root for each mesh, made once and kept as a secret that all control planes share."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kuma_ca_builtin.root import new_root
from kuma_core.sdk import KumaError, Secret, SecretManager, Violation
from kuma_core.sdk.pki import Issuers, sign_leaf


def secret_name(mesh: str) -> str:
    """Where the roots of a mesh are (API specification, 7.4)."""
    return f"builtinca.{mesh}"


class BuiltinCa:
    """The provider. Safe for use from several threads."""

    def __init__(self, secrets: SecretManager) -> None:
        self._secrets = secrets
        self._issuers = Issuers()

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """Nothing can be said in ``mtls.ca.builtin``."""
        return ()

    def ensure(self, mesh: str) -> None:
        """Make the root of a mesh unless there is one; of several that try at once, one does."""
        self._secrets.ensure(mesh, secret_name(mesh), lambda: encode(*new_root(mesh)))

    def trust_anchors(self, mesh: str) -> Sequence[str]:
        """The certificates of all roots; none for a mesh without any."""
        secret = self._secrets.find(mesh, secret_name(mesh))
        return [certificate.decode("ascii") for certificate, _ in roots(secret)] if secret else []

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A leaf signed by the first root (7.4)."""
        secret = self._secrets.find(mesh, secret_name(mesh))
        if secret is None:
            raise KumaError(f'the mesh "{mesh}" has no root certificate; apply the mesh once more')
        issuer = self._issuers.of(mesh, secret.version, lambda: roots(secret)[0])
        return sign_leaf(issuer, public_key, uris, ttl)


def encode(certificate: bytes, key: bytes) -> bytes:
    """The secret's value with one root: JSON, its PEM texts in base64 (7.4)."""
    root = {"cert": base64.b64encode(certificate).decode(), "key": base64.b64encode(key).decode()}
    return json.dumps({"roots": [root]}).encode()


def roots(secret: Secret) -> list[tuple[bytes, bytes]]:
    """Certificate and key of each root, in PEM; raises ``KumaError``, which shows none of them."""
    try:
        found = json.loads(secret.value)["roots"]
        decoded = [(base64.b64decode(root["cert"]), base64.b64decode(root["key"])) for root in found]
    except (ValueError, KeyError, TypeError):
        raise KumaError(f'the secret "{secret.name}" holds no roots that can be read') from None
    if not decoded:
        raise KumaError(f'the secret "{secret.name}" holds no root')
    return decoded
