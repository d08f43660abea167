"""Who a proxy is to others: its SPIFFE ids, and a fresh key with a certificate for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kuma_core.ca.authorities import OpenedAuthorities, OpenedAuthority
from kuma_core.documents import shown
from kuma_core.errors import KumaError
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.spiffe import id_problem, provable


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain and its key, both in PEM, and when the certificate was made and ends.

    ``problem`` says why it lacks a service; empty if it has all.
    """

    chain: str
    key: str = field(repr=False)
    issued: datetime
    expires: datetime
    problem: str = ""


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
            raise KumaError(
                f'Mesh "{mesh}" has no certificate of its authority yet; '
                f"bring one, as `kumactl manage ca {spec.authority()} --help` shows"
            )
        return "\n".join(anchors) + "\n"

    def issue(self, mesh: str, spec: MeshSpec, services: Iterable[str]) -> Identity:
        """A new identity, with one URI for each service: a permission from any of them then holds.

        A service that no certificate can hold takes no other along. Raises ``KumaError`` if there is no service
        left, or the mesh has nothing to sign with.
        """
        problems = {service: id_problem(mesh, service) for service in sorted(services)}
        uris = provable(mesh, problems)
        told = "; ".join(
            f"the service {shown(name)} {problem}" for name, problem in problems.items() if problem
        )
        if not uris:
            raise KumaError(told)
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = self._authority(mesh, spec).issue(mesh, public.decode(), uris, self._lifetime)
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        return Identity(chain, private.decode(), leaf.not_valid_before_utc, leaf.not_valid_after_utc, told)

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
