"""Runs components, each in a thread of its own; one that fails ends the control plane, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import structlog

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.plugin.contract import Component

_log = structlog.get_logger("components")

LONGEST_STOP_SECONDS = 10.0


class Components:
    """All long-running parts. ``failed`` is called, from the part's thread, when one of them ends early."""

    def __init__(self, failed: Callable[[KumaError], None]) -> None:
        self._failed = failed
        self._running: list[tuple[threading.Thread, Stop]] = []

    def start(self, components: Iterable[Component]) -> None:
        """Start each component in a thread of its own."""
        for component in components:
            stop = Stop()
            # A daemon: one that does not stop must not keep the process from ending.
            thread = threading.Thread(
                target=self._run, args=(component, stop), name=component.name, daemon=True
            )
            self._running.append((thread, stop))
            thread.start()

    def stop(self, within: float = LONGEST_STOP_SECONDS) -> list[str]:
        """End the components, the last one started first; the names of those that did not end in time.

        ``within`` is in seconds, for each of them.
        """
        stubborn = []
        while self._running:
            thread, stop = self._running.pop()
            stop.set()
            thread.join(timeout=within)
            if thread.is_alive():
                _log.error("a component does not stop", component=thread.name)
                stubborn.append(thread.name)
        return stubborn

    def _run(self, component: Component, stop: Stop) -> None:
        try:
            component.run(stop)
        except Exception as error:  # noqa: BLE001 - whatever a component raises ends the control plane
            _log.error("a component failed", component=component.name, exc_info=error)
            self._failed(KumaError(f'component "{component.name}" failed: {type(error).__name__}: {error}'))
            return
        if not stop.is_set():
            self._failed(KumaError(f'component "{component.name}" ended although nobody had stopped it'))
