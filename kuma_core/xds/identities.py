"""Makes the secrets that proxies ask for: their identity, and whom to trust (data plane, 5.3 and 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    Secret,
    TlsCertificate,
)

from kuma_core.auth.contract import Proof, ProxyAuthenticator, Unauthenticated
from kuma_core.ca.identity import IDENTITY_CERT, MESH_CA, Identity, IdentityIssuer
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.resources.manager import DATAPLANE, MESH, ResourceManager
from kuma_core.specs.mesh import MeshSpec
from kuma_core.xds.certificates import CertificateTroubles
from kuma_core.xds.contract import Proxy
from kuma_core.xds.proxy import identify
from kuma_core.xds.seal import Sealed, seal
from kuma_core.xds.server.sds import SECRET, MadeSecret
from kuma_core.xds.server.wire import Node

RENEWAL = 2 / 3
"""After which share of its life an identity is renewed (architecture, 11)."""


class ProxySecrets:
    """A ``SecretMaker`` for proxies. ``authenticator`` is ``None`` where no tokens are asked for."""

    def __init__(
        self,
        resources: ResourceManager,
        issuer: IdentityIssuer,
        authenticator: ProxyAuthenticator | None,
        troubles: CertificateTroubles,
    ) -> None:
        self._resources = resources
        self._issuer = issuer
        self._authenticator = authenticator
        self._troubles = troubles

    def identify(self, node: Node, resource: str, credentials: tuple[str, ...]) -> tuple[Proxy, Proof | None]:
        """The proxy that asks. Whom to trust everybody may know; an identity is for its owner alone."""
        if resource not in (IDENTITY_CERT, MESH_CA):
            raise KumaError(f'SDS request for "{resource:.100}" resource is not supported')
        try:
            proxy = identify(node)
        except ValueError as error:
            raise KumaError(f"SDS request must have a valid Proxy Id: {error}") from None
        if resource == MESH_CA or self._authenticator is None:
            return proxy, None
        return proxy, authenticate(self._authenticator, proxy, credentials, "SDS")

    def fingerprint(self, key: Proxy, resource: str) -> str:
        """What decides about the secret's content, apart from keys and times."""
        authority = self.authority(key.mesh, resource)
        return _digest(authority, *(self._services(key) if resource == IDENTITY_CERT else ()))

    def authority(self, mesh: str, resource: str) -> str:
        """What decides about the secret of this name in a mesh that is its authority's: whom to trust, or who signs.

        Raises ``KumaError`` if there is none.
        """
        spec = self._mesh(mesh)
        told = self._issuer.trust_bundle if resource == MESH_CA else self._issuer.signer
        return _digest(told(mesh, spec))

    def make(self, key: Proxy, resource: str) -> MadeSecret:
        """A new secret; raises ``KumaError`` with the sentences of section 5.3.

        Each record is read once, or what thousands of proxies ask for at once would be asked of the store twice.
        """
        spec = self._mesh(key.mesh)
        return self._made_trust(key, spec) if resource == MESH_CA else self._made_identity(key, spec)

    def _made_trust(self, key: Proxy, spec: MeshSpec) -> MadeSecret:
        bundle = self._issuer.trust_bundle(key.mesh, spec)
        authority = _digest(bundle)
        return MadeSecret(_trust(bundle), _digest(authority), authority=authority)

    def _made_identity(self, key: Proxy, spec: MeshSpec) -> MadeSecret:
        services = self._services(key)
        authority, identity = self._issued(key, spec, services)
        life = (identity.expires - datetime.now(UTC)).total_seconds()
        sealed = _identity(identity.chain, identity.key)
        return MadeSecret(sealed, _digest(authority, *services), max(1.0, life * RENEWAL), authority)

    def _issued(self, key: Proxy, spec: MeshSpec, services: Sequence[str]) -> tuple[str, Identity]:
        """Who signs, asked before it does, and a new identity. What goes wrong is told beside being raised."""
        try:
            authority = _digest(self._issuer.signer(key.mesh, spec))
            identity = self._issuer.issue(key.mesh, spec, services)
        except StoreUnavailable:
            raise
        except KumaError as error:
            self._troubles.refused(key, str(error))
            raise
        if identity.problem:
            self._troubles.refused(key, identity.problem)
        else:
            self._troubles.issued(key)
        return authority, identity

    def _services(self, proxy: Proxy) -> tuple[str, ...]:
        dataplane = self._resources.find(ResourceKey(DATAPLANE, *proxy.id))
        if dataplane is None:
            raise KumaError(f'unable to find Dataplane for proxy "{proxy}"')
        services = sorted(dataplane.spec.services())
        if not services:
            raise KumaError("Dataplane has no services associated with it")
        return tuple(services)

    def _mesh(self, name: str) -> MeshSpec:
        mesh = self._resources.find(ResourceKey(MESH, name, name))
        if mesh is None:
            raise KumaError(f'there is no Mesh "{name}"')
        spec: MeshSpec = mesh.spec
        return spec


def authenticate(
    authenticator: ProxyAuthenticator, proxy: Proxy, credentials: tuple[str, ...], protocol: str
) -> Proof:
    """Check the one credential of a request of ``protocol``, SDS or xDS; raises ``Unauthenticated``."""
    if len(credentials) > 1:
        count = len(credentials)
        raise Unauthenticated(f'{protocol} request must have exactly 1 "authorization" header, got {count}')
    return authenticator.authenticate(proxy.mesh, proxy.name, credentials[0] if credentials else "")


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _trust(bundle: str) -> Sealed:
    context = CertificateValidationContext(trusted_ca=DataSource(inline_bytes=bundle.encode()))
    return seal(SECRET, MESH_CA, Secret(name=MESH_CA, validation_context=context))


def _identity(chain: str, key: str) -> Sealed:
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_bytes=chain.encode()),
        private_key=DataSource(inline_bytes=key.encode()),
    )
    return seal(SECRET, IDENTITY_CERT, Secret(name=IDENTITY_CERT, tls_certificate=certificate))
