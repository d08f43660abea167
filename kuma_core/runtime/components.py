"""Runs components, each in a thread of its own, and starts one again that ends by itself."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import structlog

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.plugin.contract import Component

_log = structlog.get_logger("components")

LONGEST_STOP_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""How long a component that ended by itself rests: twice as long each time, unless it ran longer than the longest."""

Scope = Callable[[], AbstractContextManager[object]]
"""Makes what a component runs within."""


def is_restartable(component: Component) -> bool:
    """Whether a component may be started again that ended by itself: so it is unless it says otherwise."""
    return bool(getattr(component, "restartable", True))


@dataclass(eq=False)
class _Run:
    """A component at work."""

    component: Component
    within: Scope
    stop: Stop = field(default_factory=Stop)
    thread: threading.Thread = field(init=False)


class Components:
    """All long-running parts. ``failed`` is called, from the part's thread, for one that cannot be started again.

    ``ends`` counts, by name, how often each of them ended although nobody had stopped it.
    """

    def __init__(self, failed: Callable[[KumaError], None], ends: Counter[str] | None = None) -> None:
        self._failed = failed
        self._runs: list[_Run] = []
        self._ends = Counter() if ends is None else ends

    def start(self, components: Iterable[Component], within: Scope = nullcontext) -> None:
        """Start each component in a thread of its own, there in what ``within`` makes."""
        for component in components:
            run = _Run(component, within)
            # A daemon: one that does not stop must not keep the process from ending.
            run.thread = threading.Thread(target=self._keep, args=(run,), name=component.name, daemon=True)
            self._ends[component.name] += 0
            self._runs.append(run)
            run.thread.start()

    def at_work(self) -> set[str]:
        """The names of those whose threads have not ended, whether they are to stop or not."""
        self._runs = [run for run in self._runs if run.thread.is_alive()]
        return {run.component.name for run in self._runs}

    def tell_to_stop(self) -> None:
        """Tell all to stop, the last one started first, and wait for none."""
        for run in reversed(self._runs):
            run.stop.set()

    def stop(self, within: float = LONGEST_STOP_SECONDS) -> list[str]:
        """End the components, the last one started first; the names of those that did not end in time.

        ``within`` is in seconds, for each of them.
        """
        stubborn = []
        while self._runs:
            run = self._runs.pop()
            run.stop.set()
            run.thread.join(timeout=within)
            if run.thread.is_alive():
                _log.error("a component does not stop", component=run.component.name)
                stubborn.append(run.component.name)
        return stubborn

    def _keep(self, run: _Run) -> None:
        """Run it until it is stopped, again after each end of its own."""
        pause, name = FIRST_PAUSE_SECONDS, run.component.name
        while True:
            began = time.monotonic()
            problem = _problem(run)
            if run.stop.is_set():
                if problem:
                    _log.warning("a component failed while it stopped", component=name, problem=problem)
                return
            self._ends[name] += 1
            problem = problem or "it returned although nobody had stopped it"
            if not is_restartable(run.component):
                self._failed(KumaError(f'component "{name}" ended: {problem}'))
                return
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            _log.error(
                "a component ended; it is started again", component=name, problem=problem, seconds=pause
            )
            if run.stop.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _problem(run: _Run) -> str:
    """Run a component once: how it failed, whatever it raised; empty if it returned."""
    try:
        with run.within():
            run.component.run(run.stop)
    except BaseException as error:  # noqa: BLE001 - not even SystemExit may end a thread that nobody misses
        _log.debug("a component failed", component=run.component.name, exc_info=error)
        return f"{type(error).__name__}: {error}"
    return ""
