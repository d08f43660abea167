"""What a certificate authority that can replace its trust anchor tells of it, and is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from kuma_core.ca.contract import SigningCaProvider


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
class RotatableCaProvider(SigningCaProvider, Protocol):
    """A provider that can replace what it signs with while every proxy goes on trusting every other.

    The provider keeps how far that is; the kernel calls ``advance`` when a stage has reached the proxies. Their
    trust anchors may be told in any order: it means nothing.
    """

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


@runtime_checkable
class SettledStages(Protocol):
    """What the rotations offer to an authority that shows how far one is."""

    def by_instance(self, mesh: str, stage: str) -> Mapping[str, bool]:
        """Whether all proxies of each control plane have acknowledged a stage. Raises ``StoreUnavailable``."""
        ...
