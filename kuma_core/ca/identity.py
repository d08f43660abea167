"""Who a proxy is to others: its SPIFFE ids, and a fresh key with a certificate for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kuma_core.ca.authorities import OpenedAuthorities, OpenedAuthority
from kuma_core.errors import KumaError
from kuma_core.specs.mesh import MeshSpec


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain and its key, both in PEM, and from when to when the certificate holds."""

    chain: str
    key: str = field(repr=False)
    issued: datetime
    expires: datetime


def spiffe_ids(mesh: str, services: Iterable[str]) -> tuple[str, ...]:
    """One URI for each service, sorted: a permission from any of them then holds."""
    return tuple(f"spiffe://{mesh}/{service}" for service in sorted(services))


class IdentityIssuer:
    """Issues identities for the proxies of all meshes. Safe for use from several threads."""

    def __init__(self, authorities: OpenedAuthorities, lifetime: timedelta) -> None:
        self._authorities = authorities
        self._lifetime = lifetime

    def trust_bundle(self, mesh: str, spec: MeshSpec) -> str:
        """The certificates to trust in a mesh, in PEM, joined; raises ``KumaError`` if there are none.

        Sorted, as their order means nothing: the same ones are to be the same text.
        """
        anchors = sorted(anchor.strip() for anchor in self._authority(mesh, spec).trust_anchors(mesh))
        if not anchors:
            raise KumaError(f'Mesh "{mesh}" has no certificate of its authority yet')
        return "\n".join(anchors) + "\n"

    def issue(self, mesh: str, spec: MeshSpec, services: Iterable[str]) -> Identity:
        """A new identity; raises ``KumaError`` if the mesh has nothing to sign with."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        uris = spiffe_ids(mesh, services)
        chain = self._authority(mesh, spec).issue(mesh, public.decode(), uris, self._lifetime)
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        return Identity(chain, private.decode(), leaf.not_valid_before_utc, leaf.not_valid_after_utc)

    def signer(self, mesh: str, spec: MeshSpec) -> str:
        """Who signs in a mesh now: the kind of authority, and its certificate, or all that are trusted if it does
        not tell which; raises ``KumaError`` if there is none."""
        authority = self._authority(mesh, spec)
        return f"{authority.name}\n{authority.signer(mesh) or self.trust_bundle(mesh, spec)}"

    def _authority(self, mesh: str, spec: MeshSpec) -> OpenedAuthority:
        authority = self._authorities.of(spec)
        if authority is None:
            raise KumaError(f'Mesh "{mesh}" has unsupported CA type "{spec.authority()}"')
        return authority
