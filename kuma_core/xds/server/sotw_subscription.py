"""One client's subscription to one type on a state-of-the-world stream.

Of clusters and listeners every response is ``whole``: what is not in it is gone. Of the other types a response may
bring some, and what it leaves out stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from kuma_core.xds.seal import Sealed, content_version
from kuma_core.xds.server.holdings import MISSING, accepted_form, after_refusal, is_held
from kuma_core.xds.server.refusals import Clock
from kuma_core.xds.server.subscription import WILDCARD, Flight, Subscription
from kuma_core.xds.server.wire import SotwRequest

EVERYTHING = ""
"""The name under which a whole response is refused."""


class SotwSubscription(Subscription):
    """``owed`` means that the client must be answered even if nothing changed: it asks for the first time, for other
    names, or once more for the same, as Envoy does for the endpoints of a changed cluster.

    What a client says on a new stream about the version that it has is not believed. It keeps that version when it
    refuses a response of which it applied a part, and names may be new to it.
    """

    names: frozenset[str]

    def __init__(self, request: SotwRequest, whole: bool, clock: Clock) -> None:
        super().__init__(clock)
        self._whole = whole
        self._explicit = False
        self.names = frozenset()
        self.nonce = ""
        self._ask(request)

    @property
    def wildcard(self) -> bool:
        """Whether everything of the type is wanted: by its sign, or by never having named anything."""
        return self._whole and (WILDCARD in self.names or not self._explicit)

    def take(self, request: SotwRequest, was_answer: bool) -> None:
        """Account for a request with the current nonce; ``was_answer`` if it was the first one with it."""
        asks_again = not was_answer and request.error is None
        if asks_again or frozenset(request.names) != self.names:
            self._ask(request)

    def _ask(self, request: SotwRequest) -> None:
        """What the client dropped from its names it has to get again when it names it again."""
        self.names = frozenset(request.names)
        self._explicit = self._explicit or bool(self.names)
        self.owed = self.wildcard or bool(self.names)
        if not self.wildcard:
            self.held = {name: held for name, held in self.held.items() if name in self.names}
        self.refusals.hurry()

    def content(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> Mapping[str, Sealed]:
        """What the client should have now: of the names that are kept, the form that it has."""
        if self.wildcard and not kept:
            return resources
        wanted = resources.keys() if self.wildcard else resources.keys() & self.names
        found = {name: resources[name] for name in wanted - kept}
        for name in kept & self.held.keys():
            if form := accepted_form(self.held[name]):
                found[name] = form
        return found

    def pending(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> dict[str, str]:
        """What the client lacks; of whole responses also what it has to drop."""
        content = self.content(resources, kept)
        held = self.held
        due = {
            name: item.version
            for name, item in content.items()
            if held.get(name) is not item and not is_held(held.get(name), item)
        }
        if self._whole:
            due |= dict.fromkeys(held.keys() - content.keys(), MISSING)
            if self.refusals and not due:  # a client that is back may have what nobody knows of
                due[EVERYTHING] = MISSING
        return due

    def busy(self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()) -> bool:
        """Whether a response is unanswered, or there is something to be sent now."""
        return self.flight is not None or self.offer(resources, kept) is not None

    def offer(
        self, resources: Mapping[str, Sealed], kept: Set[str] = frozenset()
    ) -> Mapping[str, Sealed] | None:
        """The resources of the response that is to go out now, or ``None``."""
        pending = self.pending(resources, kept)
        if not pending and not self.owed:
            return None
        content = self.content(resources, kept)
        return self._offer_whole(content) if self._whole else self._offer_some(content, pending)

    def _offer_whole(self, content: Mapping[str, Sealed]) -> Mapping[str, Sealed] | None:
        if self.owed or not self.refusals:
            return content
        return (
            content if self.refusals.next_portion({EVERYTHING: content_version(content.values())}) else None
        )

    def _offer_some(
        self, content: Mapping[str, Sealed], pending: dict[str, str]
    ) -> Mapping[str, Sealed] | None:
        """Everything but what was refused, if there is news in it; else a portion of what was refused."""
        portion = self.refusals.next_portion(pending)
        good = content
        if self.refusals:
            bad = {name for name, item in content.items() if self.refusals.holds(name, item.version)}
            good = {name: item for name, item in content.items() if name not in bad}
        if self.owed and (good or not content):
            return good
        if portion.keys() & good.keys():
            return good
        return {name: content[name] for name in portion} or None

    def keep_refusals(self, resources: Mapping[str, Sealed], kept: Set[str]) -> None:
        """Forget what was refused and would not be offered any more."""
        if self.refusals:
            whole = {EVERYTHING: content_version(self.content(resources, kept).values())}
            self.refusals.keep(whole if self._whole else self.pending(resources))

    def depart(self, nonce: str, sent: Mapping[str, Sealed], resources: Mapping[str, Sealed]) -> str:
        """A response goes out; returns its version."""
        content, version = self.content(resources), content_version(sent.values())
        items = {EVERYTHING: version} if self._whole else {name: item.version for name, item in sent.items()}
        all_of_it = version
        if sent != content:
            is_the_rest = not self._whole and not self.pending(resources).keys() - sent.keys()
            all_of_it = content_version(content.values()) if is_the_rest else ""
        self.nonce, self.owed = nonce, False
        self.flight = Flight(nonce, items, sent, all_of_it)
        return version

    def _accepted(self, flight: Flight) -> None:
        if self._whole:
            self.held = dict(flight.resources)
        else:
            self.held |= {name: item for name, item in flight.resources.items() if name in self.names}

    def _refused(self, flight: Flight) -> None:
        """Of a whole response nobody knows what was good, not even if it brings one resource: it may remove others."""
        sent = flight.resources
        alone = not self._whole and len(sent) == 1
        removed = [name for name in self.held if name not in sent] if self._whole else []
        for name in (*sent, *removed):
            self.held[name] = after_refusal(self.held.get(name), sent.get(name), alone)
        for name in removed:  # what was never accepted is not remembered, or that would grow without end
            if accepted_form(self.held[name]) is None:
                del self.held[name]
