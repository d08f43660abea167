"""What the texts of raw resources were read as: each is read once, not once for every proxy and change.

Bounded in bytes; what nobody asked for the longest goes first. A text that cannot be read is remembered, too: to find
that out takes just as long.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from kuma_policy_traffic.proxy_template.met import NOTHING, Met

MOST_BYTES = 64 * 2**20
"""Texts and what became of them; a template at its bounds takes some 5 MiB."""

_OVERHEAD = 500
_NOTED = 300


@dataclass(frozen=True, slots=True)
class Known:
    """A raw resource: its type, its name and its bytes, or why nobody can read it.

    Without bytes it can be read and cannot go out: whoever builds it meets the reason.
    """

    type_url: str = ""
    name: str = ""
    encoded: bytes | None = field(default=None, repr=False)
    problem: str = ""
    met: Met = NOTHING


class Memory:
    """Safe for use from several threads at once."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Known] = OrderedDict()
        self.bytes = 0

    def find(self, text: str) -> Known | None:
        """What a text was read as; ``None`` if that is not known, or no longer."""
        with self._lock:
            found = self._known.get(text)
            if found:
                self._known.move_to_end(text)
            return found

    def keep(self, text: str, known: Known) -> None:
        """Remember what a text was read as."""
        with self._lock:
            self._drop(text)
            self._known[text] = known
            self.bytes += _size(text, known)
            while self.bytes > self._most_bytes:
                self._drop(next(iter(self._known)))

    def _drop(self, text: str) -> None:
        known = self._known.pop(text, None)
        self.bytes -= _size(text, known) if known else 0


def _size(text: str, known: Known) -> int:
    characters = 1 if text.isascii() else 4
    noted = sum(_NOTED + len(path) for _, path in (*known.met.restricted, *known.met.dials, *known.met.files))
    return noted + _OVERHEAD + characters * len(text) + len(known.encoded or b"") + len(known.problem)


MEMORY = Memory()
"""Shared by writes, which read every text anyway, and by what configures proxies."""
