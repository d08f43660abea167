"""Makes the secrets that proxies ask for: their identity, and whom to trust (data plane, 5.3 and 5.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    Secret,
    TlsCertificate,
)

from kuma_core.auth.contract import ProxyAuthenticator, Unauthenticated
from kuma_core.ca.identity import IDENTITY_CERT, MESH_CA, IdentityIssuer, spiffe_ids
from kuma_core.errors import KumaError
from kuma_core.model import ResourceKey
from kuma_core.resources.manager import DATAPLANE, MESH, ResourceManager
from kuma_core.specs.mesh import MeshSpec
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
    ) -> None:
        self._resources = resources
        self._issuer = issuer
        self._authenticator = authenticator

    def identify(self, node: Node, resource: str, credentials: tuple[str, ...]) -> Proxy:
        """The proxy that asks. Whom to trust everybody may know; an identity is for its owner alone."""
        if resource not in (IDENTITY_CERT, MESH_CA):
            raise KumaError(f'SDS request for "{resource:.100}" resource is not supported')
        try:
            proxy = identify(node)
        except ValueError as error:
            raise KumaError(f"SDS request must have a valid Proxy Id: {error}") from None
        if resource == IDENTITY_CERT and self._authenticator:
            authenticate(self._authenticator, proxy, credentials)
        return proxy

    def fingerprint(self, key: Proxy, resource: str) -> str:
        """What decides about the secret's content, apart from keys and times."""
        mesh = self._mesh(key)
        parts = [self._issuer.trust_bundle(key.mesh, mesh)]
        if resource == IDENTITY_CERT:
            parts += [self._issuer.authority_name(key.mesh, mesh), *spiffe_ids(key.mesh, self._services(key))]
        return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()

    def make(self, key: Proxy, resource: str) -> MadeSecret:
        """A new secret; raises ``KumaError`` with the sentences of section 5.3."""
        fingerprint = self.fingerprint(key, resource)
        mesh = self._mesh(key)
        if resource == MESH_CA:
            return MadeSecret(_trust(self._issuer.trust_bundle(key.mesh, mesh)), fingerprint)
        identity = self._issuer.issue(key.mesh, mesh, self._services(key))
        life = (identity.expires - datetime.now(UTC)).total_seconds()
        return MadeSecret(_identity(identity.chain, identity.key), fingerprint, max(1.0, life * RENEWAL))

    def _services(self, proxy: Proxy) -> tuple[str, ...]:
        dataplane = self._resources.find(ResourceKey(DATAPLANE, *proxy.id))
        if dataplane is None:
            raise KumaError(f'unable to find Dataplane for proxy "{proxy}"')
        services: tuple[str, ...] = dataplane.spec.services()
        if not services:
            raise KumaError("Dataplane has no services associated with it")
        return services

    def _mesh(self, proxy: Proxy) -> MeshSpec:
        mesh = self._resources.find(ResourceKey(MESH, proxy.mesh, proxy.mesh))
        if mesh is None:
            raise KumaError(f'there is no Mesh "{proxy.mesh}"')
        spec: MeshSpec = mesh.spec
        return spec


def authenticate(authenticator: ProxyAuthenticator, proxy: Proxy, credentials: tuple[str, ...]) -> None:
    """Check the one credential of a request; raises ``Unauthenticated``."""
    if len(credentials) > 1:
        count = len(credentials)
        raise Unauthenticated(f'SDS request must have exactly 1 "authorization" header, got {count}')
    authenticator.authenticate(proxy.mesh, proxy.name, credentials[0] if credentials else "")


def _trust(bundle: str) -> Sealed:
    context = CertificateValidationContext(trusted_ca=DataSource(inline_bytes=bundle.encode()))
    return seal(SECRET, MESH_CA, Secret(name=MESH_CA, validation_context=context))


def _identity(chain: str, key: str) -> Sealed:
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_bytes=chain.encode()),
        private_key=DataSource(inline_bytes=key.encode()),
    )
    return seal(SECRET, IDENTITY_CERT, Secret(name=IDENTITY_CERT, tls_certificate=certificate))
