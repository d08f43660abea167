"""What is told of an event, and what the feature offers to others that have something to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

RESOURCE, STATUS, REJECTION, LEADERSHIP = "resource", "status", "rejection", "leadership"
FINDINGS = "findings"
RESET = "reset"
"""The types of events that the kernel tells; ``docs/reference/events.md`` has what each carries."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. It carries keys, never content: who cares reads the resource.

    ``kind`` and ``mesh`` are what clients filter by, and part of what they get; ``""`` where there is none. ``data``
    are the other members, as JSON data.
    """

    type: str
    kind: str = ""
    mesh: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Events(Protocol):
    """Tells events to the clients of this control plane. Safe for use from any thread; it never waits."""

    def publish(self, event: Event) -> None:
        """Tell an event to whoever listens, now or within the ring's memory."""
        ...

    def is_followed(self) -> bool:
        """Whether anybody listens now: what is dear to find out need not be found out for nobody."""
        ...
