"""Runs parts of a control plane that are tested without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kuma_core.sdk import Component, NotFound, Stop


@contextmanager
def running(*parts: Component) -> Iterator[None]:
    """Each in a thread, until the block ends."""
    stop = Stop()
    threads = [threading.Thread(target=part.run, args=(stop,)) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class FakePresence:
    """What is told of instances; ``missing`` are those without a Dataplane. Keeps each word in its order."""

    def __init__(self) -> None:
        self.words: list[tuple[str, str, bool]] = []
        self.asked: list[str] = []
        self.missing: set[str] = set()
        self._told: dict[tuple[str, str], bool] = {}

    def set_serving(self, mesh: str, name: str, serving: bool, by: str = "platform") -> bool:
        if name in self.missing:
            raise NotFound(name)
        self.words.append((mesh, name, serving))
        self._told[mesh, name] = serving
        return True

    def serving(self, mesh: str, name: str) -> bool | None:
        self.asked.append(name)
        return self._told.get((mesh, name))

    def forget(self, mesh: str, name: str) -> None:
        """Its Dataplane is gone."""
        self._told.pop((mesh, name), None)

    def wait_left(self, mesh: str, name: str, seconds: float) -> int:
        return 0
