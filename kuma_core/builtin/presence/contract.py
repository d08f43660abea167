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
        """Whether others call the instance of a Dataplane, by what is stored; ``None`` if nobody told, or if everybody
        is an endpoint, whatever is told. Raises ``StoreUnavailable``."""
        ...

    def wait_left(self, mesh: str, name: str, seconds: float) -> int:
        """Wait until nobody sends new connections to an instance that leaves, and return 0; how many may still do so
        after this time. Raises ``KumaError`` if that cannot be told."""
        ...
