"""Makes the secrets that proxies ask for: their identity, and whom to trust."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    Secret,
    TlsCertificate,
)

from kuma_core.auth.contract import Claim, ProxyAuthenticator, Unauthenticated
from kuma_core.ca.contract import IDENTITY_CERT, MESH_CA
from kuma_core.ca.identity import IdentityIssuer
from kuma_core.errors import KumaError, NotFound, StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.plugin.contract import Views
from kuma_core.plugin.threads import Pools
from kuma_core.resources.contract import Resources
from kuma_core.specs.dataplane import DATAPLANE, DataplaneSpec
from kuma_core.specs.mesh import MESH, MeshSpec
from kuma_core.xds.certificates import CertificateTroubles
from kuma_core.xds.plain_meshes import PlainMeshes
from kuma_core.xds.proxy import Node, Proxy, identify
from kuma_core.xds.seal import Sealed, seal
from kuma_core.xds.server.doors import AllowsTags, Recognised, anything
from kuma_core.xds.server.sds import SECRET
from kuma_core.xds.server.sds_hub import MadeSecret
from kuma_core.xds.server.stream import ProtocolError

T = TypeVar("T")

SIGNERS = 4
"""How many threads of a mesh ask its authority at once."""
RENEWAL = 2 / 3
"""After which share of its life a proxy gets a new identity."""


class _NotThere(NotFound):
    """Somebody asks who has no Dataplane, or no Mesh, yet."""


class ProxySecrets:
    """A ``SecretMaker`` for proxies. ``authenticator`` is ``None`` where proxies need not prove who they are.

    Mesh and Dataplane come from the views that made the proxy's configuration, so that a change costs no question to
    the store for each stream. What the views do not know yet, since another control plane wrote it just now, comes
    from the store.
    """

    def __init__(
        self, resources: Resources, views: Views, issuer: IdentityIssuer, troubles: CertificateTroubles
    ) -> None:
        self._resources, self._views = resources, views
        self._issuer = issuer
        self._troubles = troubles
        self._shared = Shared(self.authority)
        self._pools = Pools("certificates", SIGNERS)
        self.authenticator: ProxyAuthenticator | None = None
        self._plain = PlainMeshes(views.mesh_spec)

    def look_anew(self, mesh: str | None = None) -> None:
        """Forget what the authority of a mesh (``None``: of any) said: it may say something else now."""
        self._shared.forget(mesh)

    def recognise(self, credentials: tuple[str, ...], protocol: str = "SDS") -> Recognised[Proxy] | None:
        """What the one credential of a request of ``protocol``, SDS or xDS, is good for; ``None`` if everybody is
        believed. Raises ``Unauthenticated``."""
        if self.authenticator is None:
            return None
        if len(credentials) > 1:
            count = len(credentials)
            raise Unauthenticated(
                f'{protocol} request must have exactly 1 "authorization" header, got {count}'
            )
        claim = self.authenticator.recognise(credentials[0] if credentials else "")
        return Recognised(claim.proof, partial(self._allow, claim), claim.allows)

    def recognise_for_configuration(self, credentials: tuple[str, ...]) -> Recognised[Proxy] | None:
        """The same for ADS, where a proxy may need no credential while its mesh has no mTLS."""
        if not any(credentials) and self.spares_plain:
            return self._plain.recognised()
        return self.recognise(credentials, "xDS")

    @property
    def spares_plain(self) -> bool:
        """Whether a proxy needs no credential for its configuration while its mesh has no mTLS."""
        return bool(getattr(self.authenticator, "spares_plain", False))

    def _allow(self, claim: Claim, proxy: Proxy) -> bool:
        """Whether the answer depends on the Dataplane's tags; raises what speaks against the claim."""
        looked = False

        def tags() -> tuple[Mapping[str, str], ...]:
            nonlocal looked
            looked = True
            return tuple(self._dataplane(proxy).tag_sets())

        claim.allows(proxy, tags)
        return looked

    def identify(self, node: Node, resource: str) -> Proxy:
        """The proxy that says to be asking; raises ``ProtocolError``."""
        if resource not in (IDENTITY_CERT, MESH_CA):
            raise ProtocolError(f'SDS request for "{resource:.100}" resource is not supported')
        try:
            return identify(node)
        except ValueError as error:
            raise ProtocolError(f"SDS request must have a valid Proxy Id: {error}") from None

    def is_for_everybody(self, resource: str) -> bool:
        """Whom to trust everybody may know; an identity is for its owner alone."""
        return resource == MESH_CA

    def submit(self, key: Proxy, work: Callable[[], T]) -> Future[T]:
        """Have ``work``, which asks the authority of a proxy's mesh, done in a thread of that mesh: one that hangs
        holds up its own mesh alone. Names that no view knows, which anybody may make up, share one pool."""
        known = self._views.mesh_spec(key.mesh) is not None
        return self._pools.submit(key.mesh if known else "", work)

    def waiting(self) -> int:
        """How much work waits for a thread of its mesh."""
        return self._pools.waiting()

    def fingerprint(self, key: Proxy, resource: str) -> str:
        """What decides about the secret's content, apart from keys and times."""
        authority = self._shared.of(key.mesh, resource)
        return _digest(authority, *(_services(self._dataplane(key)) if resource == IDENTITY_CERT else ()))

    def authority(self, mesh: str, resource: str) -> str:
        """What decides about the secret of this name in a mesh that is its authority's: whom to trust, or who signs.

        Raises ``KumaError`` if there is none.
        """
        spec = self._mesh(mesh)
        told = self._issuer.trust_bundle if resource == MESH_CA else self._issuer.signer
        return _digest(told(mesh, spec))

    def make(
        self, key: Proxy, resource: str, again: int = 0, may: AllowsTags[Proxy] = anything
    ) -> MadeSecret:
        """A new secret; raises ``KumaError`` that says why there is none, which is told in log and insight, too.

        ``may`` is asked about the very tags that an identity is made of: what somebody writes meanwhile cannot come in
        between.
        """
        try:
            return self._make(key, resource, again, may)
        except (StoreUnavailable, _NotThere):
            raise
        except KumaError as error:
            if resource == IDENTITY_CERT:
                self._troubles.refused(key, str(error))
            raise

    def _make(self, key: Proxy, resource: str, again: int, may: AllowsTags[Proxy]) -> MadeSecret:
        """The secret.

        It asks the authority anew for each: what that said to others may be of an earlier stage of a rotation.
        """
        known = self._views.mesh_spec(key.mesh)
        if known is not None:
            try:
                return self._made(key, resource, known, again, may)
            except StoreUnavailable:
                raise
            except KumaError:
                if self._stored_mesh(key.mesh) == known:
                    raise  # else the views are a moment behind a write that makes it possible
        return self._made(key, resource, self._stored_mesh(key.mesh), again, may)

    def _made(
        self, key: Proxy, resource: str, spec: MeshSpec, again: int, may: AllowsTags[Proxy]
    ) -> MadeSecret:
        """Every identity has bytes of its own."""
        if resource == MESH_CA:
            return self._made_trust(key, spec, again)
        return self._made_identity(key, spec, may)

    def _made_trust(self, key: Proxy, spec: MeshSpec, again: int) -> MadeSecret:
        bundle = self._issuer.trust_bundle(key.mesh, spec)
        authority = _digest(bundle)
        return MadeSecret(_trust(bundle, again), _digest(authority), authority=authority)

    def _made_identity(self, key: Proxy, spec: MeshSpec, may: AllowsTags[Proxy]) -> MadeSecret:
        authority = _digest(self._issuer.signer(key.mesh, spec))
        dataplane = self._dataplane(key)
        may(key, lambda: tuple(dataplane.tag_sets()))
        services = _services(dataplane)
        identity = self._issuer.issue(key.mesh, spec, services)
        made = datetime.now(UTC), identity.expires
        if identity.problem:
            self._troubles.refused(key, identity.problem, made)
        else:
            self._troubles.issued(key, made)
        now, ends = (
            time.time(),
            identity.expires.timestamp(),
        )  # it was valid before it was made: clocks differ
        sealed, renew_after = _identity(identity.chain, identity.key), max(1.0, (ends - now) * RENEWAL)
        return MadeSecret(sealed, _digest(authority, *services), renew_after, authority, now, ends)

    def _dataplane(self, proxy: Proxy) -> DataplaneSpec:
        known = self._views.dataplane_spec(*proxy.id)
        if known is not None:
            return known
        dataplane = self._resources.find(ResourceKey(DATAPLANE, *proxy.id))
        if dataplane is None:
            raise _NotThere(f'unable to find Dataplane for proxy "{proxy}"')
        spec: DataplaneSpec = dataplane.spec
        return spec

    def _mesh(self, name: str) -> MeshSpec:
        known = self._views.mesh_spec(name)
        return self._stored_mesh(name) if known is None else known

    def _stored_mesh(self, name: str) -> MeshSpec:
        mesh = self._resources.find(ResourceKey(MESH, name, name))
        if mesh is None:
            raise _NotThere(f'there is no Mesh "{name}"')
        spec: MeshSpec = mesh.spec
        return spec


class Shared:
    """What the authority of a mesh says, asked once for all streams that a hint has looked at.

    A question after ``forget`` gets an answer of after ``forget``, too. Safe for use from several threads.
    """

    def __init__(self, ask: Callable[[str, str], str]) -> None:
        self._ask = ask
        self._guard = threading.Lock()
        self._answers: dict[tuple[str, str], Future[str]] = {}

    def of(self, mesh: str, resource: str) -> str:
        """The answer; raises what the authority raised for the one who asked for all."""
        key = (mesh, resource)
        with self._guard:
            answer = self._answers.get(key)
            is_first = answer is None
            if answer is None:
                answer = self._answers[key] = Future()
        if is_first:
            self._answer(key, answer)
        return answer.result()

    def _answer(self, key: tuple[str, str], answer: Future[str]) -> None:
        try:
            answer.set_result(self._ask(*key))
        except BaseException as error:  # noqa: BLE001 - handed to all who wait for it
            answer.set_exception(error)
            with self._guard:  # a later question goes to the authority again
                if self._answers.get(key) is answer:
                    del self._answers[key]

    def forget(self, mesh: str | None) -> None:
        """Have everything, or what is of one mesh, asked for again."""
        with self._guard:
            self._answers = {
                key: answer for key, answer in self._answers.items() if mesh is not None and key[0] != mesh
            }


def _services(dataplane: DataplaneSpec) -> tuple[str, ...]:
    services = dataplane.services()
    if not services:
        raise _NotThere("Dataplane has no services associated with it")
    return services


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _trust(bundle: str, again: int) -> Sealed:
    """Outside of its blocks a text in PEM may say what it likes."""
    text = f"{bundle}# {again}\n" if again else bundle
    context = CertificateValidationContext(trusted_ca=DataSource(inline_bytes=text.encode()))
    return seal(SECRET, MESH_CA, Secret(name=MESH_CA, validation_context=context))


def _identity(chain: str, key: str) -> Sealed:
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_bytes=chain.encode()),
        private_key=DataSource(inline_bytes=key.encode()),
    )
    return seal(SECRET, IDENTITY_CERT, Secret(name=IDENTITY_CERT, tls_certificate=certificate))
