"""How long-running parts are told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Stop(threading.Event):
    """An event that also calls back, so that a part which waits on something else can be woken.

    A callback added after the event was set is called at once. Callbacks must be quick and must not raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []

    def on_set(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the event is set, from the thread that sets it."""
        with self._guard:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """As ``on_set``, for as long as the block lasts: nothing is kept of what begins and ends again and again."""
        self.on_set(callback)
        try:
            yield
        finally:
            with self._guard, suppress(ValueError):
                self._callbacks.remove(callback)

    def set(self) -> None:
        """Set the event and call every callback once."""
        with self._guard:
            super().set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
