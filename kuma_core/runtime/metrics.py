"""What the control plane counts, in the format of Prometheus; gathered when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
from kuma_core.builtin.rotations import Rotations
from kuma_core.ca.contract import RotationStage
from kuma_core.plugin.catalog import Kinds
from kuma_core.resources.contract import Store
from kuma_core.xds.reconciler import Reconciler
from kuma_core.xds.status import StreamBook

OUTCOMES = {"sent": "sent to", "acknowledged": "accepted by", "rejected": "rejected by"}


@dataclass(frozen=True, eq=False)
class Collector:
    """Reads the counters where they are kept. ``secrets`` counts what was sent over SDS, by resource and outcome."""

    kinds: Kinds
    store: Store
    reconciler: Reconciler
    streams: StreamBook
    leads: Callable[[], bool]
    secrets: Mapping[tuple[str, str], int]
    rotations: Rotations

    def collect(self) -> Iterator[Metric]:
        """All metrics of the control plane itself."""
        yield InfoMetricFamily("kuma_build", "What is running.", value={"version": __version__})
        words = "1 on the control plane that does what one alone may do."
        yield GaugeMetricFamily("kuma_leader", words, value=self.leads())
        yield self._resources()
        yield GaugeMetricFamily("kuma_xds_streams", "Open ADS streams.", value=self.streams.connected())
        yield from self._work()
        yield from _responses(
            "kuma_xds_responses", "Responses {} proxies, by type.", "type", self.streams.totals
        )
        yield from _responses("kuma_sds_responses", "Secrets {} proxies, by name.", "resource", self.secrets)
        yield self._stages()

    def _resources(self) -> Metric:
        family = GaugeMetricFamily("kuma_resources", "Stored resources by kind.", labels=["kind"])
        for kind in self.kinds:
            if kind.stored:
                try:
                    family.add_metric([kind.name], len(self.store.list(kind.name)))
                except Exception:  # noqa: BLE001 - a store plugin may raise anything; /ready tells it
                    continue
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

    def _stages(self) -> Metric:
        words = "Rotations of certificate authorities that go on, by stage."
        family = GaugeMetricFamily("kuma_ca_rotations", words, labels=["stage"])
        found = [going_on.rotation.stage for going_on in self.rotations.current().values()]
        for stage in RotationStage:
            family.add_metric([stage.value], found.count(stage))
        return family


def _responses(name: str, help_: str, label: str, counts: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    """A counter for each outcome; ``counts`` is by the label's value and the outcome."""
    for outcome, words in OUTCOMES.items():
        family = CounterMetricFamily(f"{name}_{outcome}", help_.format(words), labels=[label])
        for (value, found), count in sorted(counts.items()):
            if found == outcome:
                family.add_metric([value], count)
        yield family


def renderer(own: Collector) -> Callable[[], tuple[str, bytes]]:
    """A function that returns the content type and the text of all metrics."""
    registry = CollectorRegistry()
    collector_of_ours: Any = own  # the library asks for a base class, and needs none
    registry.register(collector_of_ours)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return lambda: (CONTENT_TYPE_LATEST, generate_latest(registry))
