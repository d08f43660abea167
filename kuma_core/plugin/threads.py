"""A few threads for calls that may never come back: they keep no process from ending, and end when there is no work."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

IDLE_SECONDS = 10.0
"""How long a thread waits for more work before it ends."""


class Threads:
    """At most ``most`` threads, made when they are needed. Safe for use from several threads.

    An executor of the standard library would wait, when the process ends, for each call that hangs.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._ready = threading.Condition()
        self._todo: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._threads = self._waiting = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have ``work`` called as soon as a thread is free; its answer holds what it returns or raises.

        It acts for whom the caller acts: what it writes for a leader is written for the same term.
        """
        answer: Future[T] = Future()
        work = partial(copy_context().run, work)
        with self._ready:
            self._todo.append((work, answer))
            if self._waiting < len(self._todo) and self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            else:
                self._ready.notify()
        return answer

    def waiting(self) -> int:
        """How much work waits for a thread."""
        return len(self._todo)

    @property
    def idle(self) -> bool:
        """Whether there is neither work nor a thread."""
        return not self._threads and not self._todo

    def _run(self) -> None:
        while (item := self._next()) is not None:
            work, answer = item
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(work())
                except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the answer
                    answer.set_exception(error)
            del item, work, answer  # or the last answer would live as long as the thread waits

    def _next(self) -> tuple[Callable[[], Any], Future[Any]] | None:
        with self._ready:
            self._waiting += 1
            came = self._ready.wait_for(lambda: self._todo, IDLE_SECONDS)
            self._waiting -= 1
            if came:
                return self._todo.popleft()
            self._threads -= 1
            return None


MOST_KEPT = 64
"""How many pools without work are kept."""


class Pools:
    """A pool of threads for each of many names, such as meshes: one that hangs takes nothing from the others."""

    def __init__(self, prefix: str, most: int) -> None:
        self._prefix, self._most = prefix, most
        self._lock = threading.Lock()
        self._pools: dict[str, Threads] = {}

    def submit(self, name: str, work: Callable[[], T]) -> Future[T]:
        """Have ``work`` called in the pool of a name."""
        with self._lock:
            pool = self._pools.get(name)
            if pool is None:
                self._drop_idle()
                pool = self._pools[name] = Threads(f"{self._prefix}-{name}"[:60], self._most)
            return pool.submit(work)

    def __len__(self) -> int:
        return len(self._pools)

    def waiting(self) -> int:
        """How much work waits for a thread, in all pools."""
        return sum(pool.waiting() for pool in list(self._pools.values()))

    def _drop_idle(self) -> None:
        if len(self._pools) >= MOST_KEPT:
            self._pools = {name: pool for name, pool in self._pools.items() if not pool.idle}
