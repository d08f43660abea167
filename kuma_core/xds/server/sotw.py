"""A state-of-the-world stream: every response holds all that was asked for.

The order is that of the delta stream: clusters before listeners; and a cluster that is gone is still served
until the listeners that used it are acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER
from kuma_core.xds.proxy import Node
from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.stream import MANY_NAMES, Recorder, check_type
from kuma_core.xds.server.subscription import SotwSubscription, subset, version_of
from kuma_core.xds.server.wire import SotwRequest, parse_sotw, sotw_response
from kuma_core.xds.snapshot import TYPES, Snapshot


class SotwStream:
    """The state of one ``StreamAggregatedResources`` stream."""

    def __init__(self, recorder: Recorder) -> None:
        self.node = Node()
        self.snapshot: Snapshot | None = None
        self._recorder = recorder
        self._subscriptions: dict[str, SotwSubscription] = {}
        self._nonce = 0

    def take(self, data: bytes) -> None:
        """Account for a request; one that answers an older response than the last is left aside."""
        request = parse_sotw(data)
        self.node = request.node or self.node
        if not check_type(request.type_url):
            return
        subscription = self._subscriptions.get(request.type_url)
        if request.nonce:
            current = subscription is not None and subscription.nonce == request.nonce
            version = subscription.sent_version if subscription and current else ""
            self._recorder.answered(request.type_url, request.error, version)
        if subscription is None:
            self._subscriptions[request.type_url] = self._first(request)
        elif not subscription.nonce or request.nonce == subscription.nonce:
            subscription.take(request)

    def _first(self, request: SotwRequest) -> SotwSubscription:
        """The subscription that the first request of a type makes.

        A client that just got clusters needs their endpoints, even if it says that it holds this version: it
        may have dropped them with a cluster that is back now.
        """
        clusters = self._subscriptions.get(CLUSTER)
        owed = request.type_url == ENDPOINTS and clusters is not None and bool(clusters.nonce)
        return SotwSubscription(frozenset(request.names), held=request.version, owed=owed)

    def responses(self) -> Iterator[bytes]:
        """Everything that can be sent now."""
        if self.snapshot is None:
            return
        for type_url in TYPES:
            if type_url in self._subscriptions and (response := self._response(type_url, self.snapshot)):
                yield response

    def _response(self, type_url: str, snapshot: Snapshot) -> bytes | None:
        if type_url == LISTENER and not self._clusters_ready(snapshot):
            return None
        subscription = self._subscriptions[type_url]
        resources, version = self._target(type_url, subscription, snapshot)
        if not subscription.wants(version) or self._is_pointless(type_url, subscription, resources):
            return None
        self._nonce += 1
        subscription.note_sent(version, str(self._nonce), resources)
        self._recorder.sent(type_url)
        bodies = (resources[name].sotw for name in sorted(resources))
        return sotw_response(type_url, version, str(self._nonce), bodies)

    def _is_pointless(
        self, type_url: str, subscription: SotwSubscription, resources: Mapping[str, Sealed]
    ) -> bool:
        """Endpoints of nothing: the client drops them with their clusters."""
        return type_url == ENDPOINTS and not resources and not (subscription.owed and subscription.names)

    def _target(
        self, type_url: str, subscription: SotwSubscription, snapshot: Snapshot
    ) -> tuple[Mapping[str, Sealed], str]:
        """What the client should have of a type now, and its version."""
        everything = snapshot.resources(type_url)
        wildcard = type_url in MANY_NAMES and subscription.wildcard
        wanted = everything if wildcard else subset(everything, subscription.names, wildcard)
        if type_url == CLUSTER and not self._listeners_settled(snapshot):
            retained = {name: item for name, item in subscription.running.items() if name not in wanted}
            wanted = {**retained, **wanted}
        same = wanted.keys() == everything.keys()
        return wanted, snapshot.version(type_url) if same else version_of(wanted)

    def _clusters_ready(self, snapshot: Snapshot) -> bool:
        """Whether listeners may go out; see ``DeltaStream``."""
        clusters = self._subscriptions.get(CLUSTER)
        if clusters is None:
            return True
        _, version = self._target(CLUSTER, clusters, snapshot)
        listeners = self._subscriptions[LISTENER]
        return clusters.settled(version) or (clusters.refused(version) and not listeners.delivered)

    def _listeners_settled(self, snapshot: Snapshot) -> bool:
        return LISTENER not in self._subscriptions or self._is_settled(LISTENER, snapshot)

    def settled(self, type_url: str) -> bool:
        """Whether the client runs with exactly the snapshot's resources of that type."""
        if type_url not in self._subscriptions or self.snapshot is None:
            return True
        return self._is_settled(type_url, self.snapshot)

    def _is_settled(self, type_url: str, snapshot: Snapshot) -> bool:
        subscription = self._subscriptions[type_url]
        resources, version = self._target(type_url, subscription, snapshot)
        return subscription.settled(version) or (type_url == ENDPOINTS and not resources)
