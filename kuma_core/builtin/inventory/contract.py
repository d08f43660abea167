"""What the inventory offers to whoever shows the kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class MissingKind:
    """Stored resources that no loaded plugin knows; ``plugin``, of ``distribution``, brought their kind once."""

    kind: str
    plugin: str
    distribution: str
    count: int


@runtime_checkable
class Inventory(Protocol):
    """What this store holds beside what the loaded plugins bring."""

    @property
    def missing(self) -> tuple[MissingKind, ...]:
        """The kinds that were found at the start, by name."""
        ...
