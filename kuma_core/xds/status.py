"""What happened on every stream: the event loop counts it, other threads show and store it.

The traffic here runs against the stream, and nothing here can wake the reconciler.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from kuma_core.counted import CountedLine
from kuma_core.log_levels import IN_FORCE
from kuma_core.xds.certificates import CertificateTroubles
from kuma_core.xds.contract import LISTENER, SHORT_NAMES, CertificateTrouble, Counts, StreamReport
from kuma_core.xds.hints import hint
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.stream import LEFT, Acknowledgement

COMPONENT = "xds-status"
_log = structlog.get_logger(COMPONENT)

LONGEST_REJECTION = 2000
"""How much of Envoy's text is kept."""
MOST_PROXIES = 10_000
"""Of how many the coming and going is told one by one; each has a line a minute, and a count."""
MOST_LINES = 200
"""About how many lines of Envoy's texts the log gets for one type of a stream, until all of the type is accepted."""


class StreamBook:
    """Keeps a report for every open stream, and for closed ones until ``take_changed``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, StreamReport] = {}
        self._of: dict[tuple[str, str], set[str]] = {}
        """The open streams of each Dataplane by their ids: with 5000 proxies nobody is to look through all."""
        self._changed: dict[str, StreamReport] = {}
        self._bell = threading.Event()
        self._problems: dict[Proxy, str] = {}
        self.certificates = CertificateTroubles(self._count_as_changed)
        self.totals: Counter[tuple[str, str]] = Counter()
        self.culprits: Callable[[Proxy, str, str], Sequence[str]] = lambda proxy, type_url, words: ()
        """Tells where that comes from what a proxy refuses, by the type and its words."""
        self.accepted: Callable[[Proxy], None] = lambda proxy: None
        """Called in the loop when a proxy accepted all of its listeners, or has them still."""
        self._came = CountedLine(_log, "info", "a proxy is connected", most=MOST_PROXIES)
        self._gone = CountedLine(_log, "info", "a proxy is gone", most=MOST_PROXIES)

    def begin(self, proxy: Proxy, address: str = "") -> StreamEntry:
        """A stream of the proxy opened, from this address."""
        # Time-based ids, as in Kuma 0.3.1.
        report = StreamReport(id=str(uuid.uuid1()), proxy=proxy, connected=_now())
        self._put(report)
        self._came(str(proxy), proxy=str(proxy), address=address)
        return StreamEntry(self, report)

    def wait_changed(self) -> None:
        """Block until a report changed, or ``wake`` was called."""
        self._bell.wait()

    def wake(self) -> None:
        """End the current ``wait_changed``, or the next one."""
        self._bell.set()

    def take_changed(self) -> list[StreamReport]:
        """The reports that changed since the last call."""
        with self._lock:
            taken = list(self._changed.values())
            self._changed.clear()
            self._bell.clear()
        return taken

    def put_back(self, reports: Iterable[StreamReport]) -> None:
        """Take back reports that the store refused: they count as changed again, unless a newer one is there."""
        with self._lock:
            for report in reports:
                self._changed.setdefault(report.id, report)
            if self._changed:
                self._bell.set()

    def tell_again(self) -> None:
        """Count every open stream as changed: the leader closed what we had stored of it."""
        with self._lock:
            self._changed = {**self._open, **self._changed}
            if self._changed:
                self._bell.set()

    def set_problem(self, proxy: Proxy, problem: str) -> None:
        """Why a proxy still has an older configuration; empty once it has the newest."""
        with self._lock:
            self._problems.pop(proxy, None)
            if problem:
                self._problems[proxy] = problem
        self._count_as_changed(proxy)

    def _count_as_changed(self, proxy: Proxy) -> None:
        with self._lock:
            mine = {id: self._open[id] for id in self._of.get(proxy.id, ())}
            self._changed |= mine
            if mine:
                self._bell.set()

    def problem(self, mesh: str, name: str) -> str:
        """Why a proxy of a Dataplane still has an older configuration; empty if all is well."""
        with self._lock:
            return next((text for proxy, text in self._problems.items() if proxy.id == (mesh, name)), "")

    def refusals(self, mesh: str, name: str) -> CertificateTrouble:
        """Whether a Dataplane's proxies get their certificates."""
        return self.certificates.of(mesh, name)

    def reports(self, mesh: str, name: str) -> list[StreamReport]:
        """The open streams of one Dataplane."""
        with self._lock:
            return [self._open[id] for id in self._of.get((mesh, name), ())]

    def troubles(self) -> dict[tuple[str, str], str]:
        """By mesh and name: why connected proxies run with something older than they should."""
        with self._lock:
            found = {
                report.proxy.id: f"it rejected its configuration: {'; '.join(report.rejections.values())}"
                for report in self._open.values()
                if report.rejections
            }
            problems = self._problems.items()
            return found | {proxy.id: f"it keeps an older configuration: {text}" for proxy, text in problems}

    def connected(self) -> int:
        """How many streams are open."""
        with self._lock:
            return len(self._open)

    def told_gone(self, report: StreamReport, reason: str) -> None:
        """Log that a stream ended; without a reason it is the control plane that stops, and no news."""
        if reason:
            seconds = round((_now() - report.connected).total_seconds())
            self._gone(str(report.proxy), proxy=str(report.proxy), reason=reason[:500], seconds=seconds)

    def reports_waiting(self) -> int:
        """How many reports changed since they were taken the last time."""
        return len(self._changed)

    def _put(self, report: StreamReport, outcome: tuple[str, str] | None = None) -> None:
        with self._lock:
            self._note(report)
            self._changed[report.id] = report
            if outcome:
                self.totals[outcome] += 1
            self._bell.set()

    def _note(self, report: StreamReport) -> None:
        """Keep the report of an open stream, and let that of a closed one go."""
        mine = self._of.setdefault(report.proxy.id, set())
        if report.disconnected:
            self._open.pop(report.id, None)
            mine.discard(report.id)
            if not mine:
                del self._of[report.proxy.id]
        else:
            self._open[report.id] = report
            mine.add(report.id)


class StreamEntry:
    """The page of one stream; only its own stream writes on it."""

    def __init__(self, book: StreamBook, report: StreamReport) -> None:
        self._book = book
        self._report = report
        self._told: dict[str, _Told] = {}

    def sent(self, type_url: str) -> None:
        """A response went out."""
        if IN_FORCE.is_debugging(COMPONENT):
            _log.debug("a response is sent", **self._words(type_url))
        counts = self._counts(type_url)
        self._update(type_url, "sent", replace(counts, sent=counts.sent + 1))

    def answered(self, type_url: str, answer: Acknowledgement) -> None:
        """A response was accepted or rejected. What Envoy refuses again and again is in the log once, and once more,
        with a count, when it is over."""
        counts, report = self._counts(type_url), self._report
        if IN_FORCE.is_debugging(COMPONENT):
            _log.debug("a response is answered", **self._words(type_url), refused=answer.error is not None)
        rejections = {url: text for url, text in report.rejections.items() if url != type_url}
        if answer.refused:
            rejections[type_url] = answer.refused[:LONGEST_REJECTION]
        acknowledged = report.acknowledged
        if answer.version:
            acknowledged = {**acknowledged, type_url: answer.version}
        self._report = replace(report, acknowledged=acknowledged, rejections=rejections)
        self._log(type_url, answer)
        if answer.error is None:
            self._update(type_url, "acknowledged", replace(counts, acknowledged=counts.acknowledged + 1))
            self._accepted(type_url)
        else:
            self._update(type_url, "rejected", replace(counts, rejected=counts.rejected + 1))

    def up_to_date(self, type_url: str, version: str) -> None:
        """The proxy runs with content of this version though none was sent: it kept it from an earlier stream, or what
        is gone went with something else."""
        if self._report.acknowledged.get(type_url) != version:
            self._report = replace(
                self._report, acknowledged={**self._report.acknowledged, type_url: version}
            )
            self._book._put(self._report)
            self._accepted(type_url)

    def _accepted(self, type_url: str) -> None:
        if type_url == LISTENER and LISTENER in self._report.acknowledged:
            self._book.accepted(self._report.proxy)

    def _log(self, type_url: str, answer: Acknowledgement) -> None:
        words = self._words(type_url)
        told = self._told.get(type_url)
        if answer.error is not None:
            told = told or self._told.setdefault(type_url, _Told())
            told.times += 1
            reason = answer.error[:LONGEST_REJECTION]
            if told.is_news(reason) and not answer.repeated:
                said = {
                    "culprits": self._book.culprits(self._report.proxy, type_url, reason),
                    "advice": hint(reason),
                }
                said = {name: value for name, value in said.items() if value}
                _log.warning("a proxy rejected its configuration", **words, reason=reason, **said)
        elif told and not answer.refused:
            _log.info(
                "a proxy took what it had rejected, or what came in its place", **words, times=told.times
            )
            del self._told[type_url]

    def known(self) -> None:
        """The proxy's Dataplane exists now, so that its insight can take what we know about the stream."""
        if IN_FORCE.is_debugging(COMPONENT):
            _log.debug("a proxy gets its first configuration", proxy=str(self._report.proxy))
        self._book._put(self._report)

    def close(self, reason: str = "") -> None:
        """The stream ended; without a reason because the control plane stops."""
        because = "" if reason == LEFT else reason[:LONGEST_REJECTION]
        self._report = replace(self._report, disconnected=_now(), ended_because=because)
        self._book._put(self._report)
        self._book.told_gone(self._report, reason)

    def _words(self, type_url: str) -> dict[str, Any]:
        return {"proxy": str(self._report.proxy), "type": SHORT_NAMES.get(type_url, type_url)}

    def _counts(self, type_url: str) -> Counts:
        return self._report.counts.get(type_url, Counts())

    def _update(self, type_url: str, outcome: str, counts: Counts) -> None:
        self._report = replace(
            self._report,
            updated=_now(),
            counts={**self._report.counts, type_url: counts},
        )
        self._book._put(self._report, (SHORT_NAMES.get(type_url, type_url), outcome))


class _Told:
    """What of one type's rejections is in the log, and how many there were."""

    def __init__(self) -> None:
        self.times = 0
        self._lines: set[str] = set()

    def is_news(self, reason: str) -> bool:
        """Whether the log does not have it yet; Envoy puts each reason on a line of its own, behind a common head."""
        lines = {line.rpartition("(s) ")[2].strip() for line in reason.splitlines()[:MOST_LINES]}
        if lines <= self._lines or len(self._lines) > MOST_LINES:
            return False
        self._lines |= lines
        return True


def _now() -> datetime:
    return datetime.now(UTC)
