"""Keeps what it read from the store until a hint says that it may be different by now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from kuma_core.errors import StoreUnavailable, UnreadableResource

_log = structlog.get_logger("dataplane-tokens")

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""How long not to try again a read that failed, and how long not to repeat one that nobody hinted at."""


class Remembered(Generic[T]):
    """Reads at the first question, and again after a hint. Safe for use from several threads.

    While the store is away, or holds something unreadable, the last good value stays in force. ``read`` gets that
    value, ``None`` at first.
    """

    def __init__(self, read: Callable[[T | None], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._reading = threading.Lock()
        self._value: T | None = None
        self._hint, self._seen = object(), object()  # the value is up to date if both are the same
        self._failure = ""
        self._retry_at = self._repeat_at = 0.0
        self._listeners: list[Callable[[], object]] = []

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` after every hint, in the thread that it came in."""
        self._listeners.append(listener)

    def forget(self) -> None:
        """Take a hint: have it read again when it is next needed."""
        self._retry_at = 0.0
        self._hint = object()
        for listener in self._listeners:
            listener()

    def get(self) -> T:
        """What is known; raises ``StoreUnavailable`` or ``UnreadableResource`` if nothing is known yet."""
        if self._seen is not self._hint:
            with self._reading:  # who comes meanwhile waits, so that nobody goes by what is over
                if self._seen is not self._hint:
                    self._read_again()
        assert self._value is not None
        return self._value

    def catch_up(self) -> bool:
        """Read if there is need to; say whether the value is up to date then."""
        try:
            self.get()
        except (StoreUnavailable, UnreadableResource):
            return False
        return self._seen is self._hint

    def fresh(self) -> T:
        """As ``get``, read again although nobody hinted, unless that was done within the last second.

        Raises ``StoreUnavailable`` if the last read failed.
        """
        with self._reading:
            if self._clock() >= self._repeat_at:
                self._repeat_at = self._clock() + PAUSE_SECONDS
                self._hint = object()
            if self._seen is not self._hint:
                self._read_again()
            if self._failure:
                raise StoreUnavailable(self._failure)
            assert self._value is not None
            return self._value

    def _read_again(self) -> None:
        """To be called with the lock held. A hint that comes during the reading leads to another one."""
        if self._value is not None and self._clock() < self._retry_at:
            return
        hint = self._hint
        try:
            self._value = self._read(self._value)
        except (StoreUnavailable, UnreadableResource) as error:
            self._failure = str(error)
            remembered = self._value is not None
            _log.warning(
                "what decides about tokens cannot be read", problem=str(error), remembered=remembered
            )
            if not remembered:
                raise
            self._retry_at = self._clock() + PAUSE_SECONDS
            return
        self._seen, self._failure = hint, ""
