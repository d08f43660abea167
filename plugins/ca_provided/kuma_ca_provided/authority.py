"""Signs with the certificate that somebody uploaded for a mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kuma_ca_provided.certificates import SigningCertificates
from kuma_core.sdk import KumaError, Secrets, Severity, Violation
from kuma_core.sdk.pki import Issuers, sign_leaf

MISSING = (
    "There is no signing certificate in provided CA for a given mesh. "
    "Add certificate via 'kumactl manage ca provided certificates add' command."
)


class ProvidedCa:
    """The provider. Safe for use from several threads."""

    def __init__(self, secrets: Secrets) -> None:
        self._certificates = SigningCertificates(secrets)
        self._issuers = Issuers()

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """A warning while nothing is uploaded, in whichever order a mesh and its certificate come."""
        found = self._certificates.find(mesh)
        if not found or not found[1]:
            yield Violation("", MISSING, Severity.WARNING)

    def ensure(self, mesh: str) -> None:
        """Nothing can be made here: the certificate is its owner's to bring."""

    def trust_anchors(self, mesh: str) -> Sequence[str]:
        """The uploaded certificate; none before that."""
        found = self._certificates.find(mesh)
        return [entry.cert.decode("ascii") for entry in found[1]] if found else []

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A leaf signed with the uploaded key; raises ``KumaError`` while there is none."""
        found = self._certificates.find(mesh)
        if not found or not found[1]:
            raise KumaError(
                f'no signing certificate is uploaded for the mesh "{mesh}"; '
                f"upload one: kumactl manage ca provided certificates add --mesh={mesh}"
            )
        secret, (entry, *_) = found
        issuer = self._issuers.of(mesh, secret.version, lambda: (entry.cert, entry.key))
        return sign_leaf(issuer, public_key, uris, ttl)
