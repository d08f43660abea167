"""A load of requests at a steady rate that keeps count of every answer and every failure."""

from __future__ import annotations

import threading
import time

from .support import fetch


class SteadyLoad:
    """So many requests a second on a port, each on a connection of its own, which between Envoys may be a handshake.

    ``answered`` are the seconds that each good answer took, ``failures`` what went wrong with the others.
    """

    WORKERS = 10

    def __init__(self, port: int, per_second: float) -> None:
        self.answered: list[float] = []
        self.failures: list[str] = []
        self._port, self._period = port, self.WORKERS / per_second
        self._began = self._ended = 0.0
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(self.WORKERS)
        ]

    @property
    def count(self) -> int:
        """How many requests had their answer, good or bad."""
        return len(self.answered) + len(self.failures)

    @property
    def per_second(self) -> float:
        """How many it were in each second, once it has ended."""
        return self.count / (self._ended - self._began)

    def summary(self) -> dict[str, float]:
        """What is to be told of it, once it has ended."""
        return {
            "seconds": round(self._ended - self._began, 1),
            "answered": len(self.answered),
            "failed": len(self.failures),
            "rate": round(self.per_second, 1),
            "slowest": round(max(self.answered), 3),
        }

    def _run(self, number: int) -> None:
        """Each worker keeps to its own timetable; one that is a second late or more does not catch up."""
        due = self._began + self._period * number / self.WORKERS
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._period, time.monotonic() - 1)
            began = time.monotonic()
            try:
                fetch(self._port)
                self.answered.append(time.monotonic() - began)
            except OSError as error:
                self.failures.append(f"{time.strftime('%T')} {type(error).__name__}: {error}")

    def __enter__(self) -> SteadyLoad:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._ended = time.monotonic()
