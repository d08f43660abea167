"""Which proxies get no certificate, and why: logged once for each mesh and reason, counted for each proxy."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import structlog

from kuma_core.log_levels import IN_FORCE
from kuma_core.xds.contract import CertificateTrouble
from kuma_core.xds.proxy import Proxy

Moments = tuple[datetime | None, datetime | None]
"""When a certificate was made, and when it ends."""
NONE_MADE: Moments = (None, None)

COMPONENT = "sds-server"
_log = structlog.get_logger(COMPONENT)


class CertificateTroubles:
    """Keeps them by Dataplane; ``changed`` is called for a proxy of which there is news. Safe for any thread."""

    def __init__(self, changed: Callable[[Proxy], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._by_proxy: dict[tuple[str, str], CertificateTrouble] = {}
        self._told: Counter[tuple[str, str]] = Counter()

    def refused(self, proxy: Proxy, problem: str, made: Moments = NONE_MADE) -> None:
        """A certificate, or a name in it, could not be issued to a proxy; with ``made`` it got one without the name."""
        with self._lock:
            before = self.of(*proxy.id)
            moments = made if made is not NONE_MADE else (before.made, before.ends)
            self._replace(proxy, CertificateTrouble(before.refused + 1, problem, before.issued, *moments))
            is_first = self._told[proxy.mesh, problem] == 1 and before.problem != problem
        if is_first:
            _log.warning("a proxy gets no certificate", proxy=str(proxy), problem=problem)
        self._changed(proxy)

    def issued(self, proxy: Proxy, made: Moments = NONE_MADE) -> None:
        """A proxy got a certificate with all its names."""
        if IN_FORCE.is_debugging(COMPONENT):
            _log.debug("a proxy gets a certificate", proxy=str(proxy))
        with self._lock:
            before = self.of(*proxy.id)
            self._replace(proxy, CertificateTrouble(before.refused, "", True, *made))
        if before.problem:
            _log.info("a proxy gets its certificate again", proxy=str(proxy))
        self._changed(proxy)

    def of(self, mesh: str, name: str) -> CertificateTrouble:
        """What is known of the proxies of a Dataplane."""
        return self._by_proxy.get((mesh, name), CertificateTrouble())

    def _replace(self, proxy: Proxy, trouble: CertificateTrouble) -> None:
        before = self.of(*proxy.id)
        self._by_proxy[proxy.id] = trouble
        self._told.update({(proxy.mesh, trouble.problem): 1} if trouble.problem else {})
        self._told.subtract({(proxy.mesh, before.problem): 1} if before.problem else {})
        self._told += Counter()  # forgets what nobody has any more
