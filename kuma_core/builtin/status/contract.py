"""What the feature tells to others: transitions from one status to another, of proxies of all control planes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from kuma_core.specs.proxy_status import StatusSpec


@dataclass(frozen=True, slots=True)
class Transition:
    """A Dataplane's new status; ``rejection`` holds Envoy's words if it refuses something that it did not before."""

    mesh: str
    name: str
    status: StatusSpec
    rejection: str = ""


@runtime_checkable
class ProxyStatuses(Protocol):
    """Tells of transitions. A store without ``tell`` or ``watch`` of insights tells some of them late."""

    def listen(self, listener: Callable[[Transition], None]) -> None:
        """Call ``listener`` at each transition, from a thread of the feature, which waits for it."""
        ...

    def states(self, mesh: str) -> Mapping[str, str]:
        """The states of a mesh's Dataplanes by name, from memory; one that is not there never connected."""
        ...

    def since(self, mesh: str) -> Mapping[str, datetime]:
        """Since when they are in these states, as far as that is known."""
        ...
