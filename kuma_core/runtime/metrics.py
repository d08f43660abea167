"""What the control plane counts, in the format of Prometheus; gathered when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from kuma_core import __version__
from kuma_core.plugin.catalog import Kinds
from kuma_core.resources.contract import Store
from kuma_core.xds.reconciler import Reconciler
from kuma_core.xds.status import StreamBook

OUTCOMES = {"sent": "sent to", "acknowledged": "accepted by", "rejected": "rejected by"}


class _Collector:
    """Reads the counters where they are kept."""

    def __init__(
        self,
        kinds: Kinds,
        store: Store,
        reconciler: Reconciler,
        streams: StreamBook,
        leads: Callable[[], bool],
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._reconciler = reconciler
        self._streams = streams
        self._leads = leads

    def collect(self) -> Iterator[Metric]:
        """All metrics of the control plane itself."""
        yield InfoMetricFamily("kuma_build", "What is running.", value={"version": __version__})
        words = "1 on the control plane that does what one alone may do."
        yield GaugeMetricFamily("kuma_leader", words, value=self._leads())
        yield self._resources()
        yield GaugeMetricFamily("kuma_xds_streams", "Open ADS streams.", value=self._streams.connected())
        yield from self._work()
        yield from self._responses()

    def _resources(self) -> Metric:
        family = GaugeMetricFamily("kuma_resources", "Stored resources by kind.", labels=["kind"])
        for kind in self._kinds:
            if kind.stored:
                try:
                    family.add_metric([kind.name], len(self._store.list(kind.name)))
                except Exception:  # noqa: BLE001 - a store plugin may raise anything; /ready tells it
                    continue
        return family

    def _work(self) -> Iterator[Metric]:
        work = self._reconciler.work
        yield SummaryMetricFamily(
            "kuma_xds_generation_seconds",
            "Time from a gathered batch of changes to its snapshots.",
            count_value=work.passes,
            sum_value=work.seconds,
        )
        yield CounterMetricFamily(
            "kuma_xds_generated_snapshots", "Snapshots generated.", value=work.generated
        )
        yield CounterMetricFamily(
            "kuma_xds_generation_failures", "Snapshots that failed.", value=work.failures
        )

    def _responses(self) -> Iterator[Metric]:
        for outcome, words in OUTCOMES.items():
            name = f"kuma_xds_responses_{outcome}"
            family = CounterMetricFamily(name, f"Responses {words} proxies, by type.", labels=["type"])
            for (kind, found), count in sorted(self._streams.totals.items()):
                if found == outcome:
                    family.add_metric([kind], count)
            yield family


def renderer(
    kinds: Kinds,
    store: Store,
    reconciler: Reconciler,
    streams: StreamBook,
    leads: Callable[[], bool],
) -> Callable[[], tuple[str, bytes]]:
    """A function that returns the content type and the text of all metrics."""
    registry = CollectorRegistry()
    own: Any = _Collector(kinds, store, reconciler, streams, leads)
    registry.register(own)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return lambda: (CONTENT_TYPE_LATEST, generate_latest(registry))
