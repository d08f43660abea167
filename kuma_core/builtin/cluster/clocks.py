"""Which machines' clocks are apart from a control plane's: noted for all of them."""

from __future__ import annotations

from contextlib import suppress

from kuma_core.builtin.cluster.contract import CLOCKS, Cluster
from kuma_core.errors import KumaError

MOST = 200
"""Of how many machines one control plane notes it: whoever asks for a bootstrap may claim any time."""


class ClockNotes:
    """What this control plane noted. Safe for use from several threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._noted: dict[str, str] = {}

    def note(self, mesh: str, name: str, difference: str) -> None:
        """Note how far the clock of a Dataplane's machine is from ours; ``""``: it is right.

        A store that takes no note is no reason to refuse a proxy its start.
        """
        key = f"{mesh}/{name}"
        is_full = key not in self._noted and len(self._noted) >= MOST
        if self._noted.get(key, "") == difference or is_full:
            return
        with suppress(KumaError):
            self._cluster.note(CLOCKS, key, difference)
            self._noted[key] = difference
            if not difference:
                del self._noted[key]
