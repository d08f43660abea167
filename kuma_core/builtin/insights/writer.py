"""Writes what this control plane knows about the streams of each proxy into its DataplaneInsight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog

from kuma_core.errors import InvalidResource, KumaError
from kuma_core.lifecycle import Stop
from kuma_core.log_levels import IN_FORCE
from kuma_core.model import ResourceKey
from kuma_core.plugin.contract import Context
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.insight import (
    INSIGHT,
    CertificateStatus,
    InsightSpec,
    ResponseStats,
    Subscription,
    SubscriptionStatus,
)
from kuma_core.specs.proxy_status import ProxyState, status_of
from kuma_core.xds.contract import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    SHORT_NAMES,
    CertificateTrouble,
    Counts,
    StreamReport,
    Streams,
)
from kuma_core.xds.proxy import tells_serving

COMPONENT = "dataplane-insights"
_log = structlog.get_logger(COMPONENT)

NO_TROUBLE = CertificateTrouble()
UNWANTED = CertificateTrouble(issued=True)
"""As if one had been issued."""

HISTORY = 10
"""How many streams an insight remembers; the oldest closed ones go first."""


GATHER_SECONDS = 0.2
"""How long we gather news before we store them: a response and its answer are then one write, which does
not compete with the push itself."""


class InsightWriter:
    """A component: gathers what changed, at most once per flush interval, and stores it.

    It writes no insight whose Dataplane is gone. What the store refuses now, it tries again later.
    """

    name = "dataplane-insights"
    leader_only = False

    def __init__(self, context: Context) -> None:
        self._streams = context.ask("streams", Streams)
        self._resources = context.resources
        self._views, self._instance_id = context.views, context.instance_id
        self._interval = context.config.seconds("xdsServer.dataplaneStatusFlushInterval")

    def run(self, stop: Stop) -> None:
        """Write until ``stop`` is set, and once more then, to close the streams that ended with us."""
        stop.on_set(self._streams.wake)
        while not stop.is_set():
            self._streams.wait_changed()
            stop.wait(min(GATHER_SECONDS, self._interval))
            self.flush()
            stop.wait(self._interval)
        self.flush()

    def flush(self) -> None:
        """Store every report that changed."""
        by_proxy: dict[tuple[str, str], list[StreamReport]] = defaultdict(list)
        for report in self._streams.take_changed():
            by_proxy[report.proxy.id].append(report)
        for proxy, reports in by_proxy.items():
            try:
                self._store(*proxy, reports)
            except InvalidResource:
                continue  # somebody deleted the mesh at the same moment, and the insight with it
            except KumaError as error:
                _log.warning("an insight could not be stored yet", proxy=".".join(proxy), problem=str(error))
                self._streams.put_back(reports)

    def _store(self, mesh: str, name: str, reports: Iterable[StreamReport]) -> None:
        if self._resources.find(ResourceKey(DATAPLANE, mesh, name)) is None:
            return
        news = [subscription(report, self._instance_id) for report in reports]
        key, problem = ResourceKey(INSIGHT, mesh, name), self._streams.problem(mesh, name)
        trouble = self._streams.refusals(mesh, name) if self._wants_certificates(mesh) else UNWANTED
        self._resources.amend(key, lambda spec: merged(spec or InsightSpec(), news, problem, trouble))
        if IN_FORCE.is_debugging(COMPONENT):
            _log.debug("an insight is stored", proxy=f"{mesh}.{name}", streams=len(news))

    def _wants_certificates(self, mesh: str) -> bool:
        """Whether proxies ask for any: what could not be issued before the encryption ended is no trouble now."""
        spec = self._views.mesh_spec(mesh)
        return spec is None or spec.is_encrypted()


def merged(
    spec: InsightSpec,
    news: Iterable[Subscription],
    problem: str = "",
    trouble: CertificateTrouble = NO_TROUBLE,
) -> InsightSpec:
    """The insight with subscriptions replaced by id or appended, cut to the last ``HISTORY``.

    What another control plane had to tell of certificates stays until this one issued one, or could not.
    """
    by_id = {item.id: item for item in spec.subscriptions}
    for item in news:
        by_id[item.id] = item
    items = list(by_id.values())
    closed = [item for item in items if item.disconnect_time]
    excess = {item.id for item in closed[: max(0, len(items) - HISTORY)]}
    kept = tuple(item for item in items if item.id not in excess)
    found = InsightSpec(problem=problem, certificates=_certificates(spec, trouble), subscriptions=kept)
    return found.model_copy(update={"degraded_since": _degraded_since(spec, found)})


def _certificates(spec: InsightSpec, trouble: CertificateTrouble) -> CertificateStatus | None:
    """What is in force of the news about certificates, and of what was known."""
    known = spec.certificates or CertificateStatus()
    if trouble.refused and trouble.problem:
        made, ends = (trouble.made, trouble.ends) if trouble.ends else (known.issued, known.ends)
        return CertificateStatus(refused=trouble.refused, problem=trouble.problem, issued=made, ends=ends)
    if trouble.issued:
        # the proxy may have got a newer one from another control plane, which wrote so before this one was done with it
        is_older = trouble.made is not None and known.issued is not None and known.issued > trouble.made
        made, ends = (known.issued, known.ends) if is_older else (trouble.made, trouble.ends)
        found = CertificateStatus(refused=trouble.refused or known.refused, issued=made, ends=ends)
        return found if found != CertificateStatus() else None
    return spec.certificates


def _degraded_since(before: InsightSpec, after: InsightSpec) -> datetime | None:
    """From when on something is wrong: as long as it was so already, the moment that was noted then."""
    if status_of(after).state != ProxyState.DEGRADED.value:
        return None
    if status_of(before).state == ProxyState.DEGRADED.value:
        return before.degraded_since
    return datetime.now(UTC)


def subscription(report: StreamReport, instance_id: str) -> Subscription:
    """A stream's report as the insight holds it. ``status.total`` counts every type, named or not."""
    counts = report.counts
    status = SubscriptionStatus(
        last_update_time=report.updated,
        last_rejection=rejection(report),
        total=_stats(counts.values()),
        cds=_stats([counts.get(CLUSTER, Counts())]),
        eds=_stats([counts.get(ENDPOINTS, Counts())]),
        lds=_stats([counts.get(LISTENER, Counts())]),
        rds=_stats([counts.get(ROUTES, Counts())]),
    )
    return Subscription(
        id=report.id,
        control_plane_instance_id=instance_id,
        connect_time=report.connected,
        disconnect_time=report.disconnected,
        disconnect_reason=report.ended_because,
        tells_serving=tells_serving(report.proxy),
        status=status,
    )


def rejection(report: StreamReport) -> str:
    """Envoy's words for what it refused, each behind the type."""
    return "; ".join(f"{SHORT_NAMES.get(url, url)}: {text}" for url, text in report.rejections.items())


def _stats(counts: Iterable[Counts]) -> ResponseStats:
    counts = list(counts)
    return ResponseStats(
        responses_sent=sum(item.sent for item in counts),
        responses_acknowledged=sum(item.acknowledged for item in counts),
        responses_rejected=sum(item.rejected for item in counts),
    )
