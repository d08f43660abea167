"""What is counted, as families of the library's: histograms, responses by outcome, and what plugins bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from kuma_core.histogram import Distribution, Histogram
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.boundary import bounded
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.contract import COUNTER, HISTOGRAM
from kuma_core.plugin.contract import Metric as PluginMetric
from kuma_core.plugin.registration import is_builtin

_log = structlog.get_logger("metrics")

MOST_SAMPLES = 10_000
"""How many numbers a metric of a plugin may have."""
MOST_BUCKETS = 50
"""How many buckets a histogram of a plugin may have."""

FAMILIES = {COUNTER: CounterMetricFamily, HISTOGRAM: HistogramMetricFamily}
OUTCOMES = {"sent": "sent to", "acknowledged": "accepted by", "rejected": "rejected by"}


def histogram(name: str, help_: str, counted: Histogram, *labels: str) -> Metric:
    """All series of a histogram of ours."""
    family = HistogramMetricFamily(name, help_, labels=labels)
    for values, found in counted.read():
        _add(family, values, found)
    return family


def labelled(family: Metric, samples: Iterable[tuple[str, float]]) -> Metric:
    """The family, with a number for each value of its one label."""
    for value, number in samples:
        family.add_metric([value], number)  # type: ignore[attr-defined]  # which the base class lacks
    return family


def responses(name: str, help_: str, label: str, counts: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    """A counter for each outcome; ``counts`` is by the label's value and the outcome.

    What was sent has all of them, so that Prometheus sees the first rejection as an increase.
    """
    found = dict(counts)
    values = sorted({value for value, _ in found})
    for outcome, words in OUTCOMES.items():
        family = CounterMetricFamily(f"{name}_{outcome}", help_.format(words), labels=[label])
        yield labelled(family, ((value, found.get((value, outcome), 0)) for value in values))


def of_a_plugin(found: Contributed[PluginMetric], asking: Asking) -> Iterator[Metric]:
    """One that fails costs its own numbers, and not those of others."""
    metric = found.value
    family: Any = FAMILIES.get(metric.type, GaugeMetricFamily)(metric.name, metric.help, labels=metric.labels)

    def read() -> list[tuple[list[str], Any]]:
        samples = bounded(metric.read(), MOST_SAMPLES)
        return [([str(value) for value in values], _checked(metric, number)) for values, number in samples]

    try:
        is_own = is_builtin(found.plugin)
        samples = read() if is_own else asking.ask(found.plugin, f"the metric {metric.name}", read)
        for values, number in samples:
            if isinstance(number, Distribution):
                _add(family, values, number)
            else:
                family.add_metric(values, number)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        _log.warning("a metric cannot be read", metric=metric.name, plugin=found.plugin, problem=str(error))
        return
    yield family


def _checked(metric: PluginMetric, value: Any) -> float | Distribution:
    """What a plugin counted; raises ``TypeError`` or ``ValueError`` for what is no number, or no histogram."""
    if metric.type != HISTOGRAM:
        return float(value)
    if not isinstance(value, Distribution):
        raise TypeError(f"it gave a {type(value).__name__}, which is nothing that a Histogram reads")
    bounds, counts = bounded(value.bounds, MOST_BUCKETS), bounded(value.counts, MOST_BUCKETS + 1)
    found = Distribution([*map(float, bounds)], [*map(int, counts)], float(value.sum))
    found.cumulative()
    return found


def _add(family: HistogramMetricFamily, labels: Sequence[str], found: Distribution) -> None:
    buckets = [("+Inf" if bound == inf else str(bound), count) for bound, count in found.cumulative()]
    family.add_metric(labels, buckets, found.sum)
