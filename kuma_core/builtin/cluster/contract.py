"""What the control planes over one store offer to the features that need all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from kuma_core.plugin.contract import Leadership
from kuma_core.resources.contract import Deletions

CLOCKS = "clocks"
"""The topic of notes on machines whose clocks are apart: by ``<mesh>/<dataplane>``, how far, in words."""


class LeaderLease(Protocol):
    """What one control plane alone may hold."""

    def hold(self) -> bool:
        """Take the lease, or keep it; say whether we hold it now. Raises ``StoreUnavailable``: then nobody knows."""
        ...

    def left(self) -> float:
        """Seconds until somebody else may take it; negative if we do not hold it."""
        ...

    @property
    def term(self) -> int:
        """For which term we held it last: it grows whenever another one takes it."""
        ...

    def newest_term(self) -> int:
        """The term that its record has now; from any thread. Raises ``StoreUnavailable``."""
        ...

    def outgrow(self, term: int) -> None:
        """Hold it for a later term than this one from the next time on."""
        ...

    def give_back(self) -> None:
        """Let others have it at once, if we hold it."""
        ...


@runtime_checkable
class Cluster(Protocol):
    """The control planes over one store. Safe for use from several threads."""

    @property
    def own_id(self) -> str:
        """The id of this control plane."""
        ...

    @property
    def leadership(self) -> Leadership:
        """Whether this control plane does what one alone may do."""
        ...

    @property
    def lease(self) -> LeaderLease:
        """The lease of the one that does what one alone may do. For one thread, but for ``left``."""
        ...

    @property
    def deletions(self) -> Deletions:
        """Deletes meshes, over the death of the control plane that began."""
        ...

    def store_problem(self) -> str:
        """Why the store did not take this control plane's last sign of life; empty if it did. From memory."""
        ...

    def note(self, topic: str, key: str, value: str) -> None:
        """Have all control planes know something of this one; ``""`` forgets it."""
        ...

    def notes(self, topic: str) -> Mapping[str, Mapping[str, str]]:
        """What each control plane noted of a topic, by its id; that of a killed one stays until it expires."""
        ...
