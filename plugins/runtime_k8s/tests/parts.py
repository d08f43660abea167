"""Runs parts of a control plane that are tested without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kuma_core.sdk import Component, Stop


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
