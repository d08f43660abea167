"""What the control plane counts, in the format of Prometheus; gathered when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
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
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.boundary import Boundary, bounded
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.contract import COUNTER
from kuma_core.plugin.contract import Metric as PluginMetric
from kuma_core.plugin.registration import is_builtin
from kuma_core.xds.mesh_views import MeshViews
from kuma_core.xds.reconciler import Reconciler
from kuma_core.xds.status import StreamBook

_log = structlog.get_logger("metrics")

MOST_SAMPLES = 10_000
"""How many numbers a metric of a plugin may have."""

OUTCOMES = {"sent": "sent to", "acknowledged": "accepted by", "rejected": "rejected by"}


@dataclass(frozen=True, eq=False)
class OwnMetrics:
    """Reads the counters where they are kept, and what plugins count.

    ``secrets`` counts what SDS sent, by resource and outcome; ``ends`` what ended by itself, by name. Nothing here asks
    the store.
    """

    views: MeshViews
    reconciler: Reconciler
    streams: StreamBook
    secrets: Mapping[tuple[str, str], int]
    ends: Mapping[str, int]
    others: Sequence[Contributed[PluginMetric]] = ()
    asking: Asking = field(default_factory=lambda: Asking(Boundary()))

    def collect(self) -> Iterator[Metric]:
        """All metrics of the control plane itself."""
        yield InfoMetricFamily("kuma_build", "What is running.", value={"version": __version__})
        yield self._resources()
        yield GaugeMetricFamily("kuma_xds_streams", "Open ADS streams.", value=self.streams.connected())
        yield from self._work()
        yield from _responses(
            "kuma_xds_responses", "Responses {} proxies, by type.", "type", self.streams.totals
        )
        yield from _responses("kuma_sds_responses", "Secrets {} proxies, by name.", "resource", self.secrets)
        yield self._ends()
        for other in self.others:
            yield from _of_a_plugin(other, self.asking)

    def _resources(self) -> Metric:
        words = "Resources that proxies are configured from, by kind."
        family = GaugeMetricFamily("kuma_resources", words, labels=["kind"])
        if self.reconciler.ready.is_set():
            for kind, count in sorted(self.views.counts().items()):
                family.add_metric([kind], count)
        return family

    def _ends(self) -> Metric:
        words = "How often a component or server ended although nobody had stopped it."
        family = CounterMetricFamily("kuma_component_ends", words, labels=["component"])
        for name, count in sorted(dict(self.ends).items()):
            family.add_metric([name], count)
        return family

    def _work(self) -> Iterator[Metric]:
        work = self.reconciler.work
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


def _of_a_plugin(found: Contributed[PluginMetric], asking: Asking) -> Iterator[Metric]:
    """One that fails costs its own numbers, and not those of others."""
    metric = found.value
    family = (CounterMetricFamily if metric.type == COUNTER else GaugeMetricFamily)(
        metric.name, metric.help, labels=metric.labels
    )

    def read() -> list[tuple[list[str], float]]:
        samples = bounded(metric.read(), MOST_SAMPLES)
        return [([str(value) for value in values], float(number)) for values, number in samples]

    try:
        is_own = is_builtin(found.plugin)
        samples = read() if is_own else asking.ask(found.plugin, f"the metric {metric.name}", read)
        for values, number in samples:
            family.add_metric(values, number)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        _log.warning("a metric cannot be read", metric=metric.name, plugin=found.plugin, problem=str(error))
        return
    yield family


def _responses(name: str, help_: str, label: str, counts: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    """A counter for each outcome; ``counts`` is by the label's value and the outcome."""
    for outcome, words in OUTCOMES.items():
        family = CounterMetricFamily(f"{name}_{outcome}", help_.format(words), labels=[label])
        for (value, found), count in sorted(counts.items()):
            if found == outcome:
                family.add_metric([value], count)
        yield family


def renderer(own: OwnMetrics) -> Callable[[], tuple[str, bytes]]:
    """A function that returns the content type and the text of all metrics."""
    registry = CollectorRegistry()
    collector_of_ours: Any = own  # the library asks for a base class, and needs none
    registry.register(collector_of_ours)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return lambda: (CONTENT_TYPE_LATEST, generate_latest(registry))
