"""A delta stream: what changed goes out, in an order in which no connection finds a gap.

Clusters come first and their endpoints at once behind them; listeners wait until the clusters are acknowledged;
a cluster is removed only when the listeners that used it are.
"""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER
from kuma_core.xds.proxy import Node
from kuma_core.xds.server.stream import MANY_NAMES, Recorder, check_type
from kuma_core.xds.server.subscription import DeltaSubscription
from kuma_core.xds.server.wire import DeltaRequest, delta_response, parse_delta
from kuma_core.xds.snapshot import TYPES, Snapshot


class DeltaStream:
    """The state of one ``DeltaAggregatedResources`` stream."""

    def __init__(self, recorder: Recorder) -> None:
        self.node = Node()
        self.snapshot: Snapshot | None = None
        self._recorder = recorder
        self._subscriptions: dict[str, DeltaSubscription] = {}
        self._nonce = 0
        self._owed_endpoints: set[str] = set()

    def take(self, data: bytes) -> None:
        """Account for a request: what is wanted, and what became of the last response."""
        request = parse_delta(data)
        self.node = request.node or self.node
        if not check_type(request.type_url):
            return
        if request.nonce:
            known = self._subscriptions.get(request.type_url)
            version = known.answered_version(request.nonce) if known else ""
            self._recorder.answered(request.type_url, request.error, version)
        self._account(request)

    def _account(self, request: DeltaRequest) -> None:
        first = request.type_url not in self._subscriptions
        subscription = self._subscriptions.setdefault(request.type_url, DeltaSubscription())
        subscription.take(request)
        subscription.subscribe(request, first, may_be_wildcard=request.type_url in MANY_NAMES)

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
        resources, content = snapshot.resources(type_url), snapshot.version(type_url)
        if type_url == ENDPOINTS:
            self._force_endpoints(subscription)
        due = subscription.due(resources, content)
        gone = self._gone(type_url, subscription, snapshot)
        if not due and not gone and (subscription.in_flight or not subscription.owed):
            return None
        self._nonce += 1
        nonce = str(self._nonce)
        subscription.note_sent(nonce, content, due, gone)
        if type_url == CLUSTER:
            self._owed_endpoints |= {item.name for item in due} & snapshot.resources(ENDPOINTS).keys()
        self._recorder.sent(type_url)
        return delta_response(type_url, content, nonce, (item.delta for item in due), gone)

    def _gone(self, type_url: str, subscription: DeltaSubscription, snapshot: Snapshot) -> list[str]:
        resources = snapshot.resources(type_url)
        if type_url == ENDPOINTS:
            return subscription.unanswered(resources, self._leaving_clusters(snapshot))
        if type_url == CLUSTER and not self._listeners_settled(snapshot):
            return []
        return subscription.gone(resources)

    def _leaving_clusters(self, snapshot: Snapshot) -> set[str]:
        clusters = self._subscriptions.get(CLUSTER)
        return set(clusters.held) - snapshot.resources(CLUSTER).keys() if clusters else set()

    def _force_endpoints(self, endpoints: DeltaSubscription) -> None:
        """A cluster that was sent warms until its endpoints are sent behind it, even if they are the same.

        On a new stream the client may ask for them only after the cluster went out.
        """
        asked_for = self._owed_endpoints & endpoints.names
        endpoints.forced |= asked_for
        self._owed_endpoints -= asked_for

    def _clusters_ready(self, snapshot: Snapshot) -> bool:
        """Whether listeners may go out: every cluster is acknowledged.

        If the client refused its clusters, the listeners that run already are left alone; a client that has
        none yet gets them, for they may well need only the clusters that are good.
        """
        clusters = self._subscriptions.get(CLUSTER)
        if clusters is None:
            return True
        waiting = clusters.in_flight or clusters.due(snapshot.resources(CLUSTER), snapshot.version(CLUSTER))
        refused = bool(clusters.refused_content)
        return not waiting and not (refused and self._subscriptions[LISTENER].delivered)

    def _listeners_settled(self, snapshot: Snapshot) -> bool:
        """Whether no listener can be using a cluster that is gone.

        A client that is back after a while holds listeners of which nothing is known until it asks for them.
        """
        if LISTENER not in self._subscriptions:
            return not self._subscriptions[CLUSTER].inherited
        return self.settled(LISTENER)

    def settled(self, type_url: str) -> bool:
        """Whether the client runs with exactly the snapshot's resources of that type."""
        subscription = self._subscriptions.get(type_url)
        if subscription is None or self.snapshot is None:
            return True
        resources = self.snapshot.resources(type_url)
        if type_url == ENDPOINTS:
            return not subscription.in_flight and not subscription.due(
                resources, self.snapshot.version(type_url)
            )
        return subscription.settled(resources, self.snapshot.version(type_url))
