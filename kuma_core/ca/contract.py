"""What a certificate authority is: a plugin implements exactly this and registers a factory for it.

Certificates and keys cross this door as PEM text, so that an authority may be a remote service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kuma_core.errors import Violation

if TYPE_CHECKING:
    from kuma_core.config import Config
    from kuma_core.lifecycle import Stop
    from kuma_core.resources.secrets import SecretManager


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
        """Make what the authority of a mesh needs, unless it is there. Called before the mesh is stored."""
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


class RotationStage(Enum):
    """How far the replacement of a trust anchor is."""

    TRUSTING = "trusting"
    """Both anchors are to be trusted; the old one signs."""
    SIGNING = "signing"
    """The new one signs; the old one is trusted until nobody shows a leaf of it any more."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A trust anchor is being replaced. ``id`` is of this stage alone: the next one has another.

    ``since`` is when the stage began, by the clock of whoever began it; it is shown, and compared with nothing.
    """

    id: str
    stage: RotationStage
    since: str


@runtime_checkable
class RotatableCaProvider(CaProvider, Protocol):
    """A provider that can replace what it signs with while every proxy goes on trusting every other.

    The provider keeps how far that is; the kernel calls ``advance`` when a stage has reached the proxies. Their
    trust anchors may be told in any order: it means nothing.
    """

    def signer(self, mesh: str) -> str:
        """The trust anchor, in PEM, to which leaves lead that are issued now; raises as ``issue`` does."""
        ...

    def rotation(self, mesh: str) -> Rotation | None:
        """How far a rotation of this mesh is; ``None`` if there is none. Cheap: it is asked twice a second."""
        ...

    def rotate(self, mesh: str) -> Rotation:
        """Begin: from now on a new anchor is trusted, too, and does not sign yet.

        Raises ``InvalidResource`` while another rotation goes on, ``NotFound`` if the mesh has no authority.
        """
        ...

    def advance(self, mesh: str, id: str) -> bool:
        """End the stage of this id, and whether it was this call that ended it: of several at once, one does.

        After ``TRUSTING`` the new anchor signs, after ``SIGNING`` the old one is forgotten.
        """
        ...


@dataclass(frozen=True, slots=True)
class CaProviderFactory:
    """An authority that can be chosen: ``name`` is the member of ``mtls.ca``.

    ``open`` gets the configuration and the secrets, once, at start.
    """

    name: str
    open: Callable[[Config, SecretManager], CaProvider]
