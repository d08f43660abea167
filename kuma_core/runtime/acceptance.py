"""What proxies have accepted: who can serve by now, and who has turned away from an instance that leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from kuma_core.ca.contract import IDENTITY_CERT
from kuma_core.errors import Busy
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op
from kuma_core.runtime.proxy_servers import ProxyServers
from kuma_core.specs.presence import PRESENCE
from kuma_core.xds.contract import LISTENER, StreamReport
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.hub import Turning


class Accepted:
    """See ``kuma_core.xds.contract.Acceptance``."""

    def __init__(self, proxies: ProxyServers) -> None:
        self._proxies = proxies

    def listen(self, accepted: Callable[[Proxy], None]) -> None:
        """Call ``accepted`` whenever a proxy accepted listeners, or its identity: in the event loop, which waits."""
        self._proxies.streams.accepted = self._proxies.secrets_hub.accepted = accepted

    def has_all(self, mesh: str, name: str) -> bool:
        """Whether a proxy of a Dataplane accepted its listeners, and where its mesh is encrypted its identity."""
        reports = self._proxies.streams.reports(mesh, name)
        if not any(LISTENER in report.acknowledged for report in reports):
            return False
        spec = self._proxies.views.mesh_spec(mesh)
        if spec is None or not spec.is_encrypted():
            return True
        return self._proxies.secrets_hub.holds(lambda proxy: proxy.id == (mesh, name), IDENTITY_CERT)

    def streams(self, mesh: str, name: str) -> Sequence[StreamReport]:
        """The open streams of a Dataplane's proxies."""
        return self._proxies.streams.reports(mesh, name)

    def settle(self, seconds: float) -> None:
        """Wait until what was told so far is handed to the streams. Raises ``Busy``, or ``KumaError``."""
        self._proxies.reconciler.settle(seconds)

    def wait_turned_away(self, mesh: str, name: str, seconds: float) -> int:
        """Wait until all that call a service of a Dataplane have acknowledged the endpoints of now.

        The store's own hint of what was told may come later, so we give one. What the reconciler handed over is in the
        loop before our question is, which is then told of each answer.
        """
        until, reconciler = time.monotonic() + seconds, self._proxies.reconciler
        spec = self._proxies.views.dataplane_spec(mesh, name)
        services = spec.services() if spec else ()
        reconciler.changed(Change(Op.PUT, ResourceKey(PRESENCE, mesh, name)))
        try:
            self.settle(seconds)
        except Busy:
            return len(reconciler.callers(mesh, services))
        turning = Turning()
        self._proxies.follow(turning, reconciler.callers(mesh, services))
        if turning.done.wait(max(0.0, until - time.monotonic())):
            return 0
        self._proxies.give_up(turning)
        return len(turning.left)

    def callers(self, mesh: str, name: str) -> Sequence[str]:
        """The instances that serve and call a service of a Dataplane, whether their proxies are connected or not."""
        views = self._proxies.views
        dataplanes = views.mesh(mesh).dataplanes
        services = set(dataplanes[name].services()) if name in dataplanes else set()
        return [
            caller
            for caller, spec in dataplanes.items()
            if any(outbound.service in services for outbound in spec.networking.outbound)
            and views.presences.serves(mesh, caller)
        ]
