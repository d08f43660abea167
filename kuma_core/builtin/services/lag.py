"""Which proxies do not run with their newest configuration, asked for readers: few at once, and never in vain."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kuma_core.errors import KumaError
from kuma_core.xds.contract import Enforcement

MOST_AT_ONCE = 2
"""An answer waits for what is being generated: so many workers of the REST API may do that for readers."""
UNKNOWN = "nobody knows at the moment: the control plane is busy with other proxies"

LagOf = Callable[[str], str]
"""By the name of a dataplane: why its proxy does not run with its newest configuration; empty if it does."""


class Lags:
    """Asks the streams of this control plane. Safe for use from several threads."""

    def __init__(self, enforcement: Enforcement) -> None:
        self._enforcement = enforcement
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)

    def of(self, mesh: str) -> LagOf:
        """The lag of the proxies of a mesh. Of those that other control planes serve nobody knows here."""
        if not self._turns.acquire(blocking=False):
            return lambda name: UNKNOWN
        try:
            behind = self._enforcement.behind_newest([mesh])
        except KumaError:
            return lambda name: UNKNOWN
        finally:
            self._turns.release()
        reasons = {name: item.reason for (_, name), item in behind.items()}
        return lambda name: reasons.get(name, "")
