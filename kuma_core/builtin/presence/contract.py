"""What the feature offers to others: the way to tell whether an instance serves."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from kuma_core.specs.presence import BY_PLATFORM


@runtime_checkable
class Presence(Protocol):
    """Joining and leaving of instances. Safe for use from several threads."""

    def set_serving(self, mesh: str, name: str, serving: bool, by: str = BY_PLATFORM) -> bool:
        """Store whether the instance of a Dataplane serves, for all control planes; whether that is news.

        What is stored already is not written again. Raises ``NotFound`` without such a Dataplane, ``StoreUnavailable``.
        """
        ...

    def serving(self, mesh: str, name: str) -> bool | None:
        """What was told last of a Dataplane, as it is stored; ``None`` if nothing ever was. Raises
        ``StoreUnavailable``."""
        ...

    def is_leaving(self, mesh: str, name: str) -> bool:
        """Whether an instance is no endpoint for others, so that it may end once they have turned away.

        Always so where everybody is one: nobody waits there. Raises ``StoreUnavailable``.
        """
        ...

    def wait_left(self, mesh: str, name: str, seconds: float) -> int:
        """Wait until nobody sends new connections to an instance that leaves, and return 0; how many may still do so
        after this time. Raises ``KumaError`` if that cannot be told."""
        ...
