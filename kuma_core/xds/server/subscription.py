"""What the subscriptions of both variants have in common: one client's wishes and holdings of one type. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass

from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.holdings import MISSING, Held
from kuma_core.xds.server.refusals import Clock, Refusals
from kuma_core.xds.server.stream import Acknowledgement

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Flight:
    """A response that is not answered yet.

    ``items`` has the version of everything that is refused or accepted with it, an empty one for what it removes;
    ``resources`` is what it brings. ``version`` is that of the type's content if the client runs with all of it once
    it accepts, else empty.
    """

    nonce: str
    items: Mapping[str, str]
    resources: Mapping[str, Sealed]
    version: str = ""


class Subscription(ABC):
    """``held`` is what the client has, by name, as far as that can be known; ``refusals`` what it did not take.

    Methods take the resources that there are, and the names that are ``kept``: whatever the client has of those, it
    is to have for now.
    """

    def __init__(self, clock: Clock) -> None:
        self.names: Set[str] = frozenset()
        self.held: dict[str, Held] = {}
        self.refusals = Refusals(clock)
        self.flight: Flight | None = None
        self.owed = False
        self._content = ""

    def notice(self, content: str) -> None:
        """The version of the type's content now; if it is another one, everything refused is worth another try: one
        resource may have been in the way of another."""
        if content != self._content:
            self._content = content
            self.refusals.hurry()

    @abstractmethod
    def pending(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> dict[str, str]:
        """The names of which the client has not what it should, and the version that it should have."""

    @abstractmethod
    def busy(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> bool:
        """Whether a response is unanswered, or there is something to be sent now."""

    @abstractmethod
    def _accepted(self, flight: Flight) -> None:
        """Account for what the client has now."""

    @abstractmethod
    def _refused(self, flight: Flight) -> None:
        """Account for what the client may have now."""

    def is_awaiting(self, nonce: str) -> bool:
        """Whether a request with this nonce answers the response that is unanswered."""
        return self.flight is not None and self.flight.nonce == nonce

    def settled(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> bool:
        """Whether the client runs with exactly what it should."""
        return not self.flight and not self.pending(resources, kept)

    def stale(self, resources: Mapping[str, Sealed]) -> set[str]:
        """The names that the client may have and that do not exist any more."""
        return {name for name in self.held.keys() - resources.keys() if self.held[name] != MISSING}

    def take_answer(self, nonce: str, error: str | None) -> Acknowledgement:
        """Account for an ACK or NACK; one of another response than the last changes nothing."""
        flight, repeated, version = self.flight, False, ""
        if flight and self.is_awaiting(nonce):
            self.flight = None
            if error is None:
                self.refusals.forget(flight.items)
                self._accepted(flight)
                version = flight.version
            else:
                repeated = self.refusals.note(flight.items, error)
                self._refused(flight)
        return Acknowledgement(error, repeated, version, self.refusals.reasons())
