"""A delta stream: what changed goes out, by name, in the order of ``ordering``."""

from __future__ import annotations

import time

from kuma_core.xds.contract import CLUSTER, ENDPOINTS
from kuma_core.xds.server.delta_subscription import DeltaSubscription
from kuma_core.xds.server.ordering import RETURN_SECONDS, OrderedStream
from kuma_core.xds.server.refusals import Clock
from kuma_core.xds.server.stream import MANY_NAMES, Recorder, check_type
from kuma_core.xds.server.subscription import Flight
from kuma_core.xds.server.wire import DeltaRequest, delta_response, parse_delta
from kuma_core.xds.snapshot import Snapshot


class DeltaStream(OrderedStream[DeltaSubscription]):
    """The state of one ``DeltaAggregatedResources`` stream."""

    def __init__(self, recorder: Recorder, clock: Clock = time.monotonic) -> None:
        super().__init__(recorder, clock)
        self._owed_endpoints: set[str] = set()

    def take(self, data: bytes) -> None:
        """Account for a request: what is wanted, and what became of the last response."""
        request = parse_delta(data)
        self.node = request.node or self.node
        if not check_type(request.type_url):
            return
        subscription = self._subscriptions.get(request.type_url)
        if request.nonce:
            self._record(request.type_url, subscription, request.nonce, request.error)
        if subscription is None:
            subscription = self._begin(request)
        else:
            subscription.take(request)
        if request.type_url == ENDPOINTS:
            self._force_endpoints(subscription)

    def _begin(self, request: DeltaRequest) -> DeltaSubscription:
        found = DeltaSubscription(request, request.type_url in MANY_NAMES, self._clock)
        self._subscriptions[request.type_url] = found
        self.is_return |= bool(request.held)
        if request.type_url == CLUSTER and request.held:
            self._awaited_until = self._clock() + RETURN_SECONDS
        return found

    def _response(self, type_url: str, subscription: DeltaSubscription, snapshot: Snapshot) -> bytes | None:
        resources, kept = snapshot.resources(type_url), self._kept(type_url, snapshot)
        everything = subscription.pending(resources)
        subscription.refusals.keep(everything)
        pending = subscription.pending(resources, kept) if kept else everything
        portion = subscription.refusals.next_portion(pending)
        # Endpoints that are kept are none of the content any more: they go with their clusters, without a word.
        whole = not (pending if type_url == ENDPOINTS else everything).keys() - portion.keys()
        if portion or subscription.owed:
            return self._send(type_url, subscription, portion, snapshot, whole)
        if whole:
            self._recorder.up_to_date(type_url, snapshot.version(type_url))
        return None

    def _send(
        self,
        type_url: str,
        subscription: DeltaSubscription,
        portion: dict[str, str],
        snapshot: Snapshot,
        whole: bool,
    ) -> bytes:
        """Write a response of these names; ``whole`` if nothing is left to be told after it."""
        resources, version = snapshot.resources(type_url), snapshot.version(type_url)
        nonce = self._next_nonce()
        sent = {name: resources[name] for name in sorted(portion) if name in resources}
        subscription.depart(Flight(nonce, portion, sent, version if whole else ""))
        if type_url == CLUSTER:
            self._owe_endpoints(set(sent), snapshot)
        removed = sorted(portion.keys() - sent.keys())
        return delta_response(type_url, version, nonce, (item.delta for item in sent.values()), removed)

    def _owe_endpoints(self, sent: set[str], snapshot: Snapshot) -> None:
        """A cluster that was sent warms until its endpoints are sent behind it, even if they are the same."""
        self._owed_endpoints |= sent
        self._owed_endpoints &= snapshot.resources(CLUSTER).keys()
        endpoints = self._subscriptions.get(ENDPOINTS)
        if endpoints is not None:
            self._force_endpoints(endpoints)
        self._owed_endpoints &= snapshot.resources(ENDPOINTS).keys()

    def _force_endpoints(self, endpoints: DeltaSubscription) -> None:
        """On a new stream the client may ask for endpoints only after their cluster went out."""
        endpoints.force(self._owed_endpoints)
        self._owed_endpoints -= endpoints.names
