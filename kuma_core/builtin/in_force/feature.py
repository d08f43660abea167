"""The feature: fences, and the two routes by which one waits behind them."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.api.contract import Route
from kuma_core.auth.contract import Right
from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.in_force.fences import FENCE, Fences
from kuma_core.builtin.in_force.routes import FenceItem, SetFence
from kuma_core.plugin.contract import ChangeListener, Component, Context
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.xds.contract import Enforcement


class InForceFeature:
    """What is open of the waiting for writes."""

    def __init__(self, context: Context) -> None:
        cluster = context.ask("builtin.cluster", Cluster)
        proxies = context.ask("enforcement", Enforcement)
        self._fences = Fences(cluster, proxies, context.store)

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """Every control plane hears of each fence."""
        return [ChangeListener(self._fences.changed, (FENCE,))]

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """The one that looks at the streams while somebody waits."""
        return [self._fences]

    @hookimpl
    def kuma_register_routes(self) -> Iterable[Route]:
        """To set a fence, and to look at it."""
        return [
            Route("/in-force", SetFence(self._fences), right=Right.READER, writes=Right.READER),
            Route("/in-force/{id}", FenceItem(self._fences), right=Right.READER),
        ]
