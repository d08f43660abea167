"""Signs with the certificate that somebody uploaded for a mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kuma_ca_provided.certificates import SigningCertificate, SigningCertificates
from kuma_core.sdk import KumaError, Secret, SecretManager, Severity, Violation
from kuma_core.sdk.pki import Issuer, load_issuer, sign_leaf

MISSING = (
    "There is no signing certificate in provided CA for a given mesh. "
    "Add certificate via 'kumactl manage ca provided certificates add' command."
)


class ProvidedCa:
    """The provider. Safe for use from several threads."""

    def __init__(self, secrets: SecretManager) -> None:
        self._certificates = SigningCertificates(secrets)
        self._issuers: dict[str, tuple[str, Issuer]] = {}

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """A warning while nothing is uploaded, in whichever order a mesh and its certificate come (stance 9)."""
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
        return sign_leaf(self._issuer(found[0], found[1][0]), public_key, uris, ttl)

    def _issuer(self, secret: Secret, entry: SigningCertificate) -> Issuer:
        """Reading an RSA key costs more than to sign with it, so it is remembered for a version."""
        version, issuer = self._issuers.get(secret.mesh, ("", None))
        if issuer is None or version != secret.version:
            issuer = load_issuer(entry.cert, entry.key)
            self._issuers[secret.mesh] = (secret.version, issuer)
        return issuer
