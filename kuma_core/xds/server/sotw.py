"""A state-of-the-world stream: every response holds all that was asked for, in the order of ``ordering``."""

from __future__ import annotations

from kuma_core.xds.server.ordering import OrderedStream
from kuma_core.xds.server.sotw_subscription import SotwSubscription
from kuma_core.xds.server.stream import MANY_NAMES, check_type
from kuma_core.xds.server.wire import parse_sotw, sotw_response
from kuma_core.xds.snapshot import Snapshot


class SotwStream(OrderedStream[SotwSubscription]):
    """The state of one ``StreamAggregatedResources`` stream."""

    def take(self, data: bytes) -> None:
        """Account for a request; one that answers an older response than the last is left aside."""
        request = parse_sotw(data)
        self.node = request.node or self.node
        if not check_type(request.type_url):
            return
        subscription = self._subscriptions.get(request.type_url)
        was_answer = subscription is not None and subscription.is_awaiting(request.nonce)
        if request.nonce:
            self._record(request.type_url, subscription, request.nonce, request.error)
        if subscription is None:
            whole = request.type_url in MANY_NAMES
            self.is_return |= bool(request.version)
            self._subscriptions[request.type_url] = SotwSubscription(request, whole, self._clock)
        elif subscription.nonce in ("", request.nonce):
            subscription.take(request, was_answer)

    def _response(self, type_url: str, subscription: SotwSubscription, snapshot: Snapshot) -> bytes | None:
        resources, kept = snapshot.resources(type_url), self._kept(type_url, snapshot)
        subscription.keep_refusals(resources, kept)
        offer = subscription.offer(resources, kept)
        if offer is None:
            return None
        nonce = self._next_nonce()
        version = subscription.depart(nonce, offer, resources)
        return sotw_response(type_url, version, nonce, (offer[name].sotw for name in sorted(offer)))
