"""Which secrets were refused, by whom, and when they are offered again.

Envoy remembers the content of a secret that it refused, and acknowledges the very same without looking at it when it
comes again (``test_what_envoy_says_of_a_secret_that_it_refused``). So what is offered again has to differ in its bytes,
on this stream and on the next one; then an acknowledgement can be believed.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from kuma_core.xds.server.refusals import LONGEST_REASON, pause

MOST = 100_000
"""How many are remembered: what was refused longest ago is forgotten first."""


@dataclass(slots=True)
class _Refused:
    times: int = 0
    reason: str = ""


class RefusedSecrets:
    """By proxy and resource, over all of a control plane's streams. For the event loop's thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: dict[tuple[Hashable, str], _Refused] = {}

    def times(self, key: Hashable, resource: str) -> int:
        """How often it was refused since it was last accepted; what is sent next has to differ by this number."""
        found = self._found.get((key, resource))
        return found.times if found else 0

    def note(self, key: Hashable, resource: str, reason: str) -> tuple[float, bool]:
        """A proxy refused it: after how many seconds it is offered again, and whether the reason is news."""
        found = self._found.pop((key, resource), None) or _Refused()
        self._found[key, resource] = found  # the newest is the last
        if len(self._found) > self._most:
            del self._found[next(iter(self._found))]
        wait, is_news = pause(found.times), found.reason != reason[:LONGEST_REASON]
        found.times, found.reason = found.times + 1, reason[:LONGEST_REASON]
        return wait, is_news

    def forget(self, key: Hashable, resource: str) -> int:
        """A proxy accepted it: how often it had refused it before."""
        found = self._found.pop((key, resource), None)
        return found.times if found else 0

    def __len__(self) -> int:
        return len(self._found)
