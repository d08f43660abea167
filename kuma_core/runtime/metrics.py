"""What the control plane counts, in the format of Prometheus; gathered when somebody asks."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from kuma_core import __version__
from kuma_core.ca.contract import IDENTITY_CERT
from kuma_core.histogram import Histogram
from kuma_core.log_queue import LogQueue
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.boundary import Boundary
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.contract import Metric as PluginMetric
from kuma_core.runtime.metric_families import histogram, labelled, of_a_plugin, responses
from kuma_core.runtime.proxy_servers import ProxyServers

AGES = {"young": 1 / 3, "middle": 2 / 3, "due": 4 / 5, "late": 1.0, "ended": float("inf")}
"""Up to which share of its life a certificate is called what. It is renewed after two thirds, give or take a tenth."""


@dataclass(frozen=True, eq=False)
class OwnMetrics:
    """Reads the counters where they are kept, and what plugins count.

    ``ends`` counts what ended by itself, by name; ``store_calls`` and ``requests`` are of ``resources/boundary.py`` and
    ``api/app.py``; ``waiting`` tells how many requests wait for each HTTP server. Nothing here asks the store.
    """

    proxies: ProxyServers
    ends: Mapping[str, int]
    store_calls: Histogram
    requests: Histogram
    waiting: Callable[[], Mapping[str, int]]
    others: Sequence[Contributed[PluginMetric]] = ()
    asking: Asking = field(default_factory=lambda: Asking(Boundary()))

    def collect(self) -> Iterator[Metric]:
        """All metrics of the control plane itself."""
        yield InfoMetricFamily("kuma_build", "What is running.", value={"version": __version__})
        yield from self._of_proxies()
        yield from self._work()
        yield from self._writes()
        yield self._certificates()
        words = "How long requests took until their answer was ready, by route, method and status code."
        yield histogram("kuma_http_request_seconds", words, self.requests, "route", "method", "code")
        words = "How long calls of the store took, by verb and outcome."
        yield histogram("kuma_store_call_seconds", words, self.store_calls, "verb", "outcome")
        yield self._queues()
        yield from _log_lines()
        words = "How often a component or server ended although nobody had stopped it."
        ends = CounterMetricFamily("kuma_component_ends", words, labels=["component"])
        yield labelled(ends, sorted(dict(self.ends).items()))
        for other in self.others:
            yield from of_a_plugin(other, self.asking)

    def _of_proxies(self) -> Iterator[Metric]:
        proxies = self.proxies
        words = "Resources that proxies are configured from, by kind."
        is_known = proxies.reconciler.ready.is_set()
        counts = sorted(proxies.views.counts().items()) if is_known else ()
        yield labelled(GaugeMetricFamily("kuma_resources", words, labels=["kind"]), counts)
        yield GaugeMetricFamily("kuma_xds_streams", "Open ADS streams.", value=proxies.streams.connected())
        words = "Responses {} proxies, by type."
        yield from responses("kuma_xds_responses", words, "type", proxies.streams.totals)
        words = "Secrets {} proxies, by name."
        yield from responses("kuma_sds_responses", words, "resource", proxies.secrets_hub.counts)

    def _work(self) -> Iterator[Metric]:
        work = self.proxies.reconciler.work
        words = "Time from a gathered batch of changes to its snapshots."
        yield histogram("kuma_xds_generation_seconds", words, work.times)
        yield CounterMetricFamily(
            "kuma_xds_generated_snapshots", "Snapshots generated.", value=work.generated
        )
        yield CounterMetricFamily(
            "kuma_xds_generation_failures", "Snapshots that failed.", value=work.failures
        )

    def _writes(self) -> Iterator[Metric]:
        awaited = self.proxies.awaited
        words = "Time from an accepted write to the last acknowledgement of the proxies here that it touches."
        yield histogram("kuma_xds_write_to_ack_seconds", words, awaited.times)
        words = "Writes that a proxy here has not answered yet."
        yield GaugeMetricFamily("kuma_xds_unanswered_writes", words, value=len(awaited))
        words = "How long the oldest write waits for a proxy here."
        yield GaugeMetricFamily(
            "kuma_xds_oldest_unanswered_write_seconds", words, value=awaited.oldest_seconds
        )

    def _certificates(self) -> Metric:
        words = "Certificates of proxies that are connected here, by the share of their life that is over."
        counts = Counter(dict.fromkeys(AGES, 0))
        now = time.time()
        for made in self.proxies.secrets_hub.sent(IDENTITY_CERT):
            share = (now - made.issued) / max(made.ends - made.issued, 1)
            counts[next(age for age, end in AGES.items() if share < end)] += 1
        return labelled(GaugeMetricFamily("kuma_sds_certificates", words, labels=["age"]), counts.items())

    def _queues(self) -> Metric:
        proxies = self.proxies
        lengths = {
            "changes": proxies.reconciler.changes_waiting(),
            "proxies": proxies.reconciler.proxies_waiting(),
            "reports": proxies.streams.reports_waiting(),
            "certificates": proxies.certificates_waiting(),
            **self.waiting(),
        }
        family = GaugeMetricFamily("kuma_queue_length", "What waits for its turn.", labels=["queue"])
        return labelled(family, lengths.items())


def _log_lines() -> Iterator[Metric]:
    log = sys.stderr if isinstance(sys.stderr, LogQueue) else None
    words = "Bytes of the log that nobody has read yet."
    yield GaugeMetricFamily("kuma_log_waiting_bytes", words, value=log.waiting_bytes if log else 0)
    words = "Lines of the log that were lost since nobody read them."
    yield CounterMetricFamily("kuma_log_lost_lines", words, value=log.lost_lines if log else 0)


def renderer(own: OwnMetrics) -> Callable[[], tuple[str, bytes]]:
    """A function that returns the content type and the text of all metrics."""
    registry = CollectorRegistry()
    collector_of_ours: Any = own  # the library asks for a base class, and needs none
    registry.register(collector_of_ours)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return lambda: (CONTENT_TYPE_LATEST, generate_latest(registry))
