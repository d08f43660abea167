"""What one client wants and holds of one type: plain state, no I/O, one class for each variant of the protocol.

The rules are those of the xDS protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from kuma_core.xds.seal import Sealed, content_version
from kuma_core.xds.server.wire import DeltaRequest, SotwRequest

WILDCARD = "*"


@dataclass(slots=True)
class SotwSubscription:
    """State-of-the-world: every response holds all that was asked for, under one version.

    ``held`` is the version that the client accepted last; ``rejected`` one that it refused, which is not sent
    again. ``sent`` are the resources of the last response; it is unanswered while ``in_flight``. ``running``
    are those of the last response that was accepted. ``owed`` means that the client must be answered even if
    nothing changed.
    """

    names: frozenset[str]
    nonce: str = ""
    held: str = ""
    rejected: str = ""
    owed: bool = False
    in_flight: bool = False
    sent_version: str = ""
    sent: Mapping[str, Sealed] = field(default_factory=dict)
    running: Mapping[str, Sealed] = field(default_factory=dict)

    @property
    def wildcard(self) -> bool:
        """Whether everything of the type is wanted."""
        return not self.names or WILDCARD in self.names

    @property
    def delivered(self) -> bool:
        """Whether the client holds some version."""
        return bool(self.held)

    def take(self, request: SotwRequest) -> None:
        """Account for a request that is neither the first nor stale.

        The first one with the current nonce says what became of the response. A further one with the same
        nonce asks for the data again: Envoy does that for the endpoints of a changed cluster, and holds
        everything up until it is answered.
        """
        names = frozenset(request.names)
        first, self.in_flight = self.in_flight, False
        if request.error is not None:
            self.rejected = self.sent_version
        elif first:
            self.held, self.rejected, self.running = self.sent_version, "", self.sent
        if names != self.names or (not first and request.error is None):
            self.names, self.owed = names, True

    def wants(self, version: str) -> bool:
        """Whether content of that version is to be sent now."""
        if self.in_flight:
            return False
        return self.owed or version not in (self.held, self.rejected)

    def note_sent(self, version: str, nonce: str, resources: Mapping[str, Sealed]) -> None:
        """Account for a response that goes out."""
        self.sent_version, self.nonce, self.sent = version, nonce, resources
        self.in_flight, self.owed = True, False

    def settled(self, version: str) -> bool:
        """Whether the client runs with content of that version."""
        return not self.in_flight and self.held == version

    def refused(self, version: str) -> bool:
        """Whether the client refused content of that version."""
        return not self.in_flight and self.rejected == version


@dataclass(slots=True)
class _InFlight:
    """A delta response that is not answered yet: what it brings, and what the client held before of all the
    names that it brings or removes."""

    nonce: str
    content: str
    resources: dict[str, str]
    before: dict[str, str]


MISSING = ""
"""The version of a name that the client was told does not exist."""


@dataclass(slots=True)
class DeltaSubscription:
    """Delta: every response holds what changed; each resource has a version of its own.

    ``held`` are the versions that the client has or is being sent. ``refused`` are versions that were part of
    a response it rejected: the whole response counts as undelivered, and goes out again when the content of
    the type (``refused_content``) has changed. ``forced`` names must be sent although they did not change.
    ``inherited`` names were held before this stream and not sent on it.
    """

    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    refused_content: str = ""
    forced: set[str] = field(default_factory=set)
    inherited: set[str] = field(default_factory=set)
    owed: bool = False
    in_flight: _InFlight | None = None
    delivered: bool = False

    def subscribe(self, request: DeltaRequest, first: bool, may_be_wildcard: bool) -> None:
        """Account for the names that a request adds and drops.

        In the first request no names at all mean everything, for the types where that is allowed. A name
        that is asked for again must be sent again.
        """
        if first:
            self.held = dict(request.held)
            self.inherited = set(request.held)
            self.delivered = bool(request.held)
            self.wildcard = may_be_wildcard and (not request.subscribe or WILDCARD in request.subscribe)
            self.owed = self.wildcard
        for name in request.subscribe:
            if name == WILDCARD:
                self.wildcard = True
                continue
            if not first:
                self.held.pop(name, None)
                self.refused.pop(name, None)
            self.names.add(name)
        for name in request.unsubscribe:
            self._unsubscribe(name)

    def _unsubscribe(self, name: str) -> None:
        if name == WILDCARD:
            self.wildcard = False
        self.names.discard(name)
        self.forced.discard(name)
        if not self.wildcard:
            self.held.pop(name, None)

    def answered_version(self, nonce: str) -> str:
        """The version of the content that a request with this nonce answers."""
        return self.in_flight.content if self.in_flight and self.in_flight.nonce == nonce else ""

    def take(self, request: DeltaRequest) -> None:
        """Account for an ACK or NACK."""
        flight = self.in_flight
        if flight is None or request.nonce != flight.nonce:
            return
        self.in_flight = None
        if request.error is None:
            self.delivered = True
            return
        self.refused.update(flight.resources)
        self.refused_content = flight.content
        self.held = {name: version for name, version in self.held.items() if name not in flight.resources}
        self.held.update(flight.before)

    def due(self, resources: Mapping[str, Sealed], content: str) -> list[Sealed]:
        """The resources that the client lacks or must get again, by name."""
        if self.in_flight:
            return []
        if content != self.refused_content:
            self.refused, self.refused_content = {}, ""
        wanted = resources if self.wildcard else self.names & resources.keys()
        return [resources[name] for name in sorted(wanted) if self._is_due(resources[name])]

    def _is_due(self, resource: Sealed) -> bool:
        if resource.name in self.forced:
            return True  # even if it was refused before: the client waits for an answer, whatever it is
        if self.refused.get(resource.name) == resource.version:
            return False
        return self.held.get(resource.name) != resource.version

    def gone(self, resources: Mapping[str, Sealed]) -> list[str]:
        """What the client holds and does not exist any more, or asked for by name and does not exist."""
        if self.in_flight:
            return []
        held = {name for name, version in self.held.items() if version != MISSING}
        dropped = set() if self.refused_content else held - resources.keys()
        return sorted(dropped | self._unknown(resources))

    def unanswered(self, resources: Mapping[str, Sealed], leaving: Set[str]) -> list[str]:
        """The names that the client asked for on this stream and that do not exist.

        For endpoints, in place of ``gone``: those of clusters that are ``leaving`` stay until the client
        drops them itself, for connections still go there.
        """
        return [] if self.in_flight else sorted(self._unknown(resources) - leaving)

    def _unknown(self, resources: Mapping[str, Sealed]) -> set[str]:
        return {
            name for name in self.names if name not in self.held or name in self.inherited
        } - resources.keys()

    def settled(self, resources: Mapping[str, Sealed], content: str) -> bool:
        """Whether the client runs with exactly these resources."""
        nothing_due = not self.in_flight and not self.due(resources, content)
        return nothing_due and not self.refused_content and not self.gone(resources)

    def note_sent(
        self, nonce: str, content: str, resources: Iterable[Sealed], removed: Iterable[str]
    ) -> None:
        """Account for a response that goes out; ``content`` is the version of the whole type now."""
        sent = {item.name: item.version for item in resources}
        before = {name: self.held[name] for name in (*sent, *removed) if name in self.held}
        flight = _InFlight(nonce, content, sent, before)
        for name in removed:
            self.held.pop(name, None)
            if name in self.names:
                self.held[name] = MISSING
        self.held.update(sent)
        self.forced -= sent.keys()
        self.inherited -= {*sent, *removed}
        self.in_flight, self.owed = flight, False


def subset(resources: Mapping[str, Sealed], names: frozenset[str], wildcard: bool) -> dict[str, Sealed]:
    """The resources that a subscription asks for."""
    return {name: item for name, item in resources.items() if wildcard or name in names}


def version_of(resources: Mapping[str, Sealed]) -> str:
    """The version of a set of resources in a state-of-the-world response."""
    return content_version(resources.values())
