"""What the kernel and a certificate authority that can replace its trust anchor say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from kuma_core.ca.contract import SigningCaProvider

TOLD = "rotation"
"""The type of the events that tell of a step of a rotation."""


class RotationStage(Enum):
    """How far the replacement of a trust anchor is."""

    TRUSTING = "trusting"
    """Proxies learn to trust both anchors; the old one signs."""
    SIGNING = "signing"
    """The new one signs; proxies trust the old one until none shows a leaf of it any more."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A replacement of a trust anchor that goes on. ``id`` is of this stage alone: the next one has another.

    ``since`` is when the stage began, by the clock of the control plane that began it: for display, as clocks differ.
    """

    id: str
    stage: RotationStage
    since: str


@runtime_checkable
class RotatableCaProvider(SigningCaProvider, Protocol):
    """A provider that can replace what it signs with while every proxy goes on trusting every other.

    The provider keeps how far that is; the kernel calls ``advance`` when a stage has reached the proxies. Their
    trust anchors come in any order: it means nothing.
    """

    def rotation(self, mesh: str) -> Rotation | None:
        """How far a rotation of this mesh is; ``None`` if there is none. Cheap: the kernel asks twice a second."""
        ...

    def rotate(self, mesh: str) -> Rotation:
        """Begin: from now on proxies learn to trust a new anchor, too, which does not sign yet.

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
