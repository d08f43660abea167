"""What a certificate authority is: a plugin implements ``CaProvider`` and registers a factory for it.

Certificates and keys cross this door as PEM text, so that an authority may be a remote service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

from kuma_core.config import Config
from kuma_core.errors import Violation
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Secrets
from kuma_core.specs.mesh import MeshSpec

T = TypeVar("T")

IDENTITY_CERT, MESH_CA = "identity_cert", "mesh_ca"
"""The secrets that every proxy asks for by SDS: who it is, and whom to trust."""


@runtime_checkable
class CaProvider(Protocol):
    """Signs the certificates of the meshes that select it by ``mtls.ca.<name>``.

    Safe for use from several threads, and beside the same provider of other control planes on one store.
    Every method may raise a ``KumaError``; ``StoreUnavailable`` says that the same may succeed later.
    """

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """What is wrong with the content of ``mtls.ca.<name>``; fields are relative to it.

        Asked before every write of the mesh, which may not exist yet. Changes nothing.
        """
        ...

    def ensure(self, mesh: str) -> None:
        """Make what the authority of a mesh needs, unless it is there; called before a mesh is stored."""
        ...

    def trust_anchors(self, mesh: str) -> Sequence[str]:
        """The certificates to trust in a mesh, each in PEM; none if there is no authority yet."""
        ...

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A certificate chain in PEM, the leaf first and without the trust anchor.

        ``public_key`` is a SubjectPublicKeyInfo in PEM, ``uris`` the URI SANs. The leaf ends after ``ttl``, or
        earlier with its issuer. Raises ``KumaError`` if there is nothing to sign with.
        """
        ...


@runtime_checkable
class WatchedCaProvider(CaProvider, Protocol):
    """A provider whose authorities change by themselves, or by somebody else's hand."""

    def watch(self, changed: Callable[[str], None], stop: Stop) -> None:
        """Call ``changed`` with a mesh whose trust anchors or issuer changed, until ``stop`` is set."""
        ...


@runtime_checkable
class SigningCaProvider(CaProvider, Protocol):
    """A provider that tells which of its trust anchors signs now."""

    def signer(self, mesh: str) -> str:
        """The trust anchor, in PEM, of the leaves that ``issue`` makes now; raises as ``issue`` does."""
        ...


@runtime_checkable
class Authority(Protocol):
    """An opened provider as the kernel hands it on; errors name its plugin."""

    @property
    def name(self) -> str:
        """The member of ``mtls.ca``."""
        ...

    @property
    def plugin(self) -> str:
        """The plugin that brought it."""
        ...

    @property
    def provider(self) -> CaProvider:
        """The provider itself; ``call`` it."""
        ...

    def call(self, verb: str, function: Callable[[], T]) -> T:
        """What ``function``, a call of the provider, returns; its errors name the plugin and the ``verb``."""
        ...

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> list[Violation]:
        """What is wrong with the content of ``mtls.ca.<name>``, with paths from the mesh's root."""
        ...

    def trust_anchors(self, mesh: str) -> tuple[str, ...]:
        """The certificates to trust in a mesh, each in PEM."""
        ...


@runtime_checkable
class Authorities(Protocol):
    """Every certificate authority that the loaded plugins bring, opened."""

    def __iter__(self) -> Iterator[str]:
        """The names by which ``mtls.ca`` knows them."""
        ...

    def __getitem__(self, name: str) -> Authority:
        """The authority of a name; raises ``KeyError``."""
        ...

    def of(self, mesh: MeshSpec) -> Authority | None:
        """The authority that a mesh selects; ``None`` if no loaded plugin brings it."""
        ...

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with each mesh whose authority changed by itself. Call this before any server starts."""
        ...


@dataclass(frozen=True, slots=True)
class CaProviderFactory:
    """An authority that a mesh can choose: ``name`` is the member of ``mtls.ca``.

    ``open`` gets the configuration and the secrets, once, at start.
    """

    name: str
    open: Callable[[Config, Secrets], CaProvider]
