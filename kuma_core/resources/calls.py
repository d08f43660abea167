"""Who may wait for a store that does not answer: few, and once that is known, nobody but one who tries.

A store has deadlines of its own. Until the first of them every caller would wait, and with the workers of an HTTP
server its answers that need no store. So of the workers of one server only some may be inside the store (``Places``).
After the first deadline without any answer in between the store *hangs*: every call fails at once, but for one at a
time, a second after the one before. The heartbeat is always among those who try, so that the first answer is noticed
within about a second.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

from kuma_core.errors import StoreUnavailable

HANG_SECONDS = 1.0
"""A call that fails after so long, with no answer to any other one meanwhile, ran into a deadline: the store hangs."""
RETRY_SECONDS = 1.0
"""How often one call may try a store that hangs."""
SILENCE_SECONDS = 0.5
"""How long a store may be silent while nobody is to wait for a place."""


class Places:
    """So many calls of one group of callers, the workers of an HTTP server, may be inside the store at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0


PLACES: ContextVar[Places | None] = ContextVar("PLACES", default=None)
"""The places of the thread's group; without one it may always go in."""


class Calls:
    """The calls of one store that are under way. Safe for use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._numbers = itertools.count()
        self._began: dict[int, float] = {}
        self._answered = self._failed = clock()
        self._silent_since: float | None = None
        self._trying: int | None = None
        self._waiting = 0

    def begin(self) -> int:
        """Go in; the number of the call. Raises ``StoreUnavailable`` instead of waiting for a store that hangs."""
        places = PLACES.get()
        with self._lock:
            self._refuse_if_silent()
            if places is not None:
                self._take_place(places)
            number = next(self._numbers)
            if self._silent_since is not None:
                self._trying = number
            self._began[number] = self._clock()
            return number

    def answered(self, number: int) -> None:
        """Go out: the store answered, whatever it was."""
        with self._lock:
            self._answered = self._clock()
            self._silent_since = self._trying = None
            self._leave(number)

    def failed(self, number: int) -> bool:
        """Go out: the store could not be reached; whether it is known to hang since now."""
        with self._lock:
            began, self._failed = self._began[number], self._clock()
            if self._trying == number:
                self._trying = None
            self._leave(number)
            silent = self._failed - began >= HANG_SECONDS and self._answered < began
            if not silent or self._silent_since is not None:
                return False
            self._silent_since = began
            return True

    def _leave(self, number: int) -> None:
        del self._began[number]
        places = PLACES.get()
        if places is not None:
            places.taken -= 1
        if self._waiting:
            self._changed.notify_all()

    def _refuse_if_silent(self) -> None:
        if self._silent_since is None:
            return
        now = self._clock()
        if self._trying is not None or now - self._failed < RETRY_SECONDS:
            raise _silent(now - self._silent_since)

    def _take_place(self, places: Places) -> None:
        self._waiting += 1
        try:
            while places.taken >= places.most:
                left = (
                    SILENCE_SECONDS - (now := self._clock()) + max(self._answered, min(self._began.values()))
                )
                if left <= 0 or self._silent_since is not None:
                    raise _silent(now - min(self._began.values()))
                self._changed.wait(left)
        finally:
            self._waiting -= 1
        places.taken += 1


def _silent(seconds: float) -> StoreUnavailable:
    return StoreUnavailable(
        f"the store has not answered for {seconds:.1f} s; it is asked again once a second"
    )
