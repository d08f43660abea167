"""Make before break: what must wait for what, so that no connection finds a gap. Both variants of a stream follow it.

Clusters go out first and their endpoints behind them; listeners and routes wait until the clusters are acknowledged.
A cluster leaves when no listener and no route that the client may have names it any more, a route when no listener
does. What the client refused holds back nothing but what would break without it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Set
from typing import Generic, TypeVar

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.encoding import varint
from kuma_core.xds.proxy import Node
from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.holdings import Doubt, is_held, other_forms, runs
from kuma_core.xds.server.refusals import Clock
from kuma_core.xds.server.stream import Acknowledgement, Recorder
from kuma_core.xds.server.subscription import Subscription
from kuma_core.xds.snapshot import TYPES, Snapshot

S = TypeVar("S", bound=Subscription)

RETURN_SECONDS = 2.0
"""How long a client that is back with clusters of before has to ask for its listeners and routes, which may use them;
after that it is taken to have none."""

USERS = {CLUSTER: (LISTENER, ROUTES), ROUTES: (LISTENER,)}
"""Which types name resources of a type, and so have to let go of them first."""


class OrderedStream(ABC, Generic[S]):
    """The state of one stream: who it belongs to, what it should have, what it has."""

    def __init__(self, recorder: Recorder, clock: Clock = time.monotonic) -> None:
        self.node = Node()
        self.snapshot: Snapshot | None = None
        self.is_return = False
        self._recorder = recorder
        self._clock = clock
        self._subscriptions: dict[str, S] = {}
        self._nonce = 0
        self.rejections = 0
        self._looked = clock()
        self._awaited_until = self._looked

    def responses(self) -> Iterator[bytes]:
        """Everything that can be sent now."""
        self._looked = self._clock()
        for type_url in TYPES:
            subscription, snapshot = self._subscriptions.get(type_url), self.snapshot
            if snapshot is None or subscription is None or subscription.flight:
                continue
            if self._is_ready(type_url, snapshot):
                subscription.notice(snapshot.version(type_url))
                response = self._response(type_url, subscription, snapshot)
                if response is not None:
                    self._recorder.sent(type_url)
                    yield response

    @abstractmethod
    def _response(self, type_url: str, subscription: S, snapshot: Snapshot) -> bytes | None:
        """What can be sent of a type of which no response is unanswered."""

    def wake(self) -> float | None:
        """When something that was refused is due again, or a client that is back is waited for no longer."""
        waiting = (item.refusals for item in self._subscriptions.values() if not item.flight)
        times = [refusals.next_due(self._looked) for refusals in waiting]
        if self._is_awaited(LISTENER) or self._is_awaited(ROUTES):
            times.append(self._awaited_until)
        return min((at for at in times if at is not None), default=None)

    def at_rest(self) -> bool:
        """Whether no response is unanswered."""
        return not any(item.flight for item in self._subscriptions.values())

    def settled(self, type_url: str) -> bool:
        """Whether the client runs with the snapshot's resources of that type.

        Of endpoints it is enough that there is nothing to be told: what a client refused is not waited for.
        """
        subscription = self._subscriptions.get(type_url)
        if subscription is None or self.snapshot is None:
            return True
        resources = self.snapshot.resources(type_url)
        if type_url == ENDPOINTS:
            return not subscription.busy(resources, self._kept(type_url, self.snapshot))
        return subscription.settled(resources)

    def _record(self, type_url: str, subscription: S | None, nonce: str, error: str | None) -> None:
        """Tell what a request says about a response."""
        answer = subscription.take_answer(nonce, error) if subscription else Acknowledgement(error)
        self.rejections += error is not None
        self._recorder.answered(type_url, answer)

    def _next_nonce(self) -> str:
        self._nonce += 1
        return str(self._nonce)

    def _is_ready(self, type_url: str, snapshot: Snapshot) -> bool:
        """Whether resources of a type may go out: those that name clusters wait until these are acknowledged."""
        clusters = self._subscriptions.get(CLUSTER)
        if clusters is None or type_url not in USERS[CLUSTER]:
            return True
        return not clusters.busy(snapshot.resources(CLUSTER), self._kept(CLUSTER, snapshot))

    def _kept(self, type_url: str, snapshot: Snapshot) -> Set[str]:
        """The names of which the client is to keep for now whatever it has."""
        kept: set[str] = set()
        if type_url == ENDPOINTS:  # connections still go there; the client drops them with their clusters
            kept |= self._stale(CLUSTER, snapshot)
        if type_url in USERS[CLUSTER]:
            kept |= self._waiting(type_url, snapshot)
        if type_url in USERS:
            kept |= self._used(type_url, snapshot)
        return kept

    def _stale(self, type_url: str, snapshot: Snapshot) -> set[str]:
        subscription = self._subscriptions.get(type_url)
        return subscription.stale(snapshot.resources(type_url)) if subscription else set()

    def _waiting(self, type_url: str, snapshot: Snapshot) -> set[str]:
        """The names of running resources whose new form names a cluster that the client may lack."""
        lacking = self._lacking_clusters(snapshot)
        if not lacking:
            return set()
        held, resources = self._subscriptions[type_url].held, snapshot.resources(type_url)
        return {
            name
            for name, item in resources.items()
            if runs(held.get(name)) and not is_held(held[name], item) and mentioned(lacking, item)
        }

    def _lacking_clusters(self, snapshot: Snapshot) -> set[str]:
        """The clusters that the client refused and never had, but for those whose endpoints it asks for: it asks for
        them when it has taken the cluster."""
        clusters, endpoints = self._subscriptions.get(CLUSTER), self._subscriptions.get(ENDPOINTS)
        if clusters is None or not clusters.refusals:
            return set()
        taken = endpoints.names if endpoints else frozenset()
        held = clusters.held
        doubtful = (name for name in snapshot.resources(CLUSTER).keys() - taken if name in held)
        return {name for name in doubtful if isinstance(item := held[name], Doubt) and item.absent}

    def _used(self, type_url: str, snapshot: Snapshot) -> set[str]:
        """Which of the stale resources of a type may still be used by something that the client has."""
        stale = self._stale(type_url, snapshot)
        if stale and any(self._is_awaited(user) for user in USERS[type_url]):
            return stale
        used: set[str] = set()
        for user in USERS[type_url]:
            if stale and user in self._subscriptions:
                used |= self._used_by(user, stale, snapshot)
        return used

    def _used_by(self, user: str, stale: set[str], snapshot: Snapshot) -> set[str]:
        subscription, resources = self._subscriptions[user], snapshot.resources(user)
        if subscription.busy(resources, self._kept(user, snapshot)):
            return stale
        used: set[str] = set()
        for name, held in subscription.held.items():
            forms = other_forms(held, resources.get(name))
            if forms is None:
                return stale
            used |= mentioned_in(stale, forms)
        return used

    def _is_awaited(self, type_url: str) -> bool:
        """Whether a client that is back may still ask for a type. Routes are waited for only if there are any."""
        if type_url in self._subscriptions or self._looked >= self._awaited_until:
            return False
        return type_url != ROUTES or bool(self.snapshot and self.snapshot.resources(ROUTES))


def mentioned(names: Iterable[str], item: Sealed) -> set[str]:
    """Which of the names stand in a resource, each as a text of its own: a reference is always one."""
    return {name for name in names if varint(len(name.encode())) + name.encode() in item.packed}


def mentioned_in(names: Iterable[str], forms: Iterable[Sealed]) -> set[str]:
    """Which of the names stand in any of some resources."""
    return {name for form in forms for name in mentioned(names, form)}
