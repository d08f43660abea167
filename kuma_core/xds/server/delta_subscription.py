"""One client's subscription to one type on a delta stream: every response has what changed, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.holdings import MISSING, Doubt, after_refusal, is_held, was_never_held
from kuma_core.xds.server.refusals import Clock
from kuma_core.xds.server.subscription import WILDCARD, Flight, Subscription
from kuma_core.xds.server.wire import DeltaRequest, check_names


class DeltaSubscription(Subscription):
    """``forced`` names must be told of although they did not change; ``owed`` is an answer even if there is nothing to
    tell."""

    names: set[str]

    def __init__(self, request: DeltaRequest, may_be_wildcard: bool, clock: Clock) -> None:
        """The first request of the type; no names at all mean everything, for the types where that is allowed."""
        super().__init__(clock)
        self.names = set()
        self._size = 0
        self.forced: set[str] = set()
        self.held = {name: version or Doubt(lost=True) for name, version in request.held.items()}
        silent = not request.subscribe and not request.unsubscribe
        self.wildcard = self.owed = may_be_wildcard and silent
        self._subscribe(request.subscribe, first=True)
        self._unsubscribe(request.unsubscribe)
        self._drop_what_is_of_no_interest()

    def take(self, request: DeltaRequest) -> None:
        """Account for the names that a later request adds and drops; raises ``ExcessiveRequest``."""
        self._subscribe(request.subscribe, first=False)
        self._unsubscribe(request.unsubscribe)

    def _subscribe(self, names: Iterable[str], first: bool) -> None:
        """A name that is asked for again is told again: the client may have forgotten it."""
        for name in dict.fromkeys(names):
            if name == WILDCARD:
                self.wildcard = self.owed = True
            elif name not in self.names:
                self.names.add(name)
                self._size += len(name)
            if not first:
                self.forced |= self.held.keys() if name == WILDCARD else {name}
        check_names(len(self.names), self._size)
        self.refusals.forget(self.forced)

    def _unsubscribe(self, names: Iterable[str]) -> None:
        """A name that everything may include is told of once more, for the client cannot know whether it does."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = False
            elif name in self.names:
                if self.wildcard:
                    self.forced.add(name)
                self.names.discard(name)
                self._size -= len(name)
        if names:
            self._drop_what_is_of_no_interest()
        check_names(
            len(self.forced - self.held.keys()), 0
        )  # a client that answers nothing could add to it for ever

    def _drop_what_is_of_no_interest(self) -> None:
        """So does the client."""
        if not self.wildcard:
            self.held = {name: held for name, held in self.held.items() if name in self.names}
            self.forced &= self.names

    def force(self, names: Set[str]) -> None:
        """Tell of these names, if the client asked for them, though nothing changed and even if they were refused:
        it waits for an answer, whatever it is."""
        self.forced |= names & self.names
        self.refusals.forget(self.forced)

    def pending(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> dict[str, str]:
        """What the client lacks, must get again or has to drop; an empty version for what does not exist."""
        held, forced = self.held, self.forced
        wanted = resources.keys() if self.wildcard else self.names & resources.keys()
        due = {
            name: resources[name].version
            for name in wanted
            if name in forced
            or (held.get(name) is not resources[name] and not is_held(held.get(name), resources[name]))
        }
        for name in (held.keys() | self.names | forced) - resources.keys():
            if name in forced or held.get(name) != MISSING:
                due[name] = MISSING
        for name in kept & due.keys():
            if name not in forced or name not in resources:
                del due[name]
        return due

    def busy(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> bool:
        """Whether a response is unanswered, or there is something to be sent now."""
        return bool(self.flight or self.refusals.next_portion(self.pending(resources, kept)))

    def depart(self, flight: Flight) -> None:
        """A response goes out."""
        self.flight, self.owed = flight, False
        self.forced -= flight.items.keys()

    def _accepted(self, flight: Flight) -> None:
        for name in self._of_interest(flight):
            if name in flight.resources:
                self.held[name] = flight.resources[name]
            elif name in self.names:
                self.held[name] = MISSING
            else:
                self.held.pop(name, None)

    def _refused(self, flight: Flight) -> None:
        """A removal of what the client never had is not offered again, or what is remembered would grow without end."""
        alone = len(flight.items) == 1
        for name in self._of_interest(flight):
            found = after_refusal(self.held.get(name), flight.resources.get(name), alone)
            self.held[name] = found
            if alone and not flight.resources and name not in self.names and was_never_held(found):
                del self.held[name]

    def _of_interest(self, flight: Flight) -> Iterable[str]:
        """The names of a response that the client did not drop meanwhile."""
        return flight.items if self.wildcard else flight.items.keys() & self.names
