"""The feature: one component that knows every status, and what it offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from kuma_core.builtin.status.contract import Transition
from kuma_core.builtin.status.watch import WATCHED, StatusWatch
from kuma_core.plugin.contract import ChangeListener, Component, Context, Metric
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.proxy_status import ProxyState


class StatusFeature:
    """What is open of the statuses; it offers ``ProxyStatuses``."""

    def __init__(self, context: Context) -> None:
        self._watch = StatusWatch(context.resources)
        self.offer = self

    def listen(self, listener: Callable[[Transition], None]) -> None:
        """Call ``listener`` at each transition."""
        self._watch.listeners.append(listener)

    def states(self, mesh: str) -> Mapping[str, str]:
        """The states of a mesh's Dataplanes, from memory."""
        return self._watch.states(mesh)

    def since(self, mesh: str) -> Mapping[str, datetime]:
        """Since when a mesh's Dataplanes are in their states, from memory."""
        return self._watch.since(mesh)

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """Control planes tell of transitions alone, not of counters."""
        return [ChangeListener(self._watch.changed, WATCHED)]

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """The one that reads what hints point to."""
        return [self._watch]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """How many Dataplanes are in which state, whichever control plane their proxies are connected to."""
        words = "Dataplanes whose proxies were ever connected to any control plane, by state."
        return [Metric("kuma_dataplane_states", words, self._states, labels=("state",))]

    def _states(self) -> Iterator[tuple[tuple[str], float]]:
        counts = self._watch.counts()
        states = [state.value for state in ProxyState if state is not ProxyState.NEVER_CONNECTED]
        return (((state,), counts[state]) for state in states)
