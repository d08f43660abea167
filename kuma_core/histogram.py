"""How long things take: counted in few fixed buckets, as Prometheus reads them, by few labels.

To observe costs less than a microsecond: the lock is that of one series, and is held for two additions.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

OTHER = "other"
"""Stands for the values of all labels where there are too many."""

MOST_SERIES = 500
"""How many combinations of labels a histogram tells apart: all of them stay in memory, here and in Prometheus."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values lay where, and their ``sum``.

    ``counts`` has how many there were up to each of the ``bounds``, but above the one before it; the last one, of which
    there is one more, is of those above all bounds.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float

    def cumulative(self) -> list[tuple[float, int]]:
        """How many there were up to each bound; the last bound is infinite.

        Raises ``ValueError`` where the bounds do not grow, or the counts do not fit to them.
        """
        bounds = [*map(float, self.bounds), float("inf")]
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError("the bounds of a histogram have to grow")
        total, found = 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found


class _Series:
    __slots__ = ("counts", "lock", "total")

    def __init__(self, buckets: int) -> None:
        self.lock = threading.Lock()
        self.counts = [0] * buckets
        self.total = 0.0


class Histogram:
    """Counts values in buckets, which end at ``bounds``. Safe for use from several threads.

    ``labels`` is how many values come with each observation. Without any the one series is there from the start, so
    that Prometheus sees its first increase.
    """

    def __init__(self, bounds: Sequence[float], labels: int = 0, most_series: int = MOST_SERIES) -> None:
        self._bounds = tuple(bounds)
        self._labels, self._most = labels, most_series
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], _Series] = {}
        if not labels:
            self._begun(())

    def observe(self, value: float, *labels: str) -> None:
        """Count a value; one that comes with too many new labels counts as ``other``."""
        series = self._series.get(labels) or self._begun(labels)
        place = bisect_left(self._bounds, value)
        with series.lock:
            series.counts[place] += 1
            series.total += value

    def read(self) -> Iterator[tuple[tuple[str, ...], Distribution]]:
        """The values of the labels, and what was counted with them so far; what ``Metric.read`` is to give."""
        for labels, series in sorted(self._series.copy().items()):
            with series.lock:
                yield labels, Distribution(self._bounds, tuple(series.counts), series.total)

    def _begun(self, labels: tuple[str, ...]) -> _Series:
        with self._lock:
            if labels not in self._series and len(self._series) >= self._most:
                labels = (OTHER,) * self._labels
            return self._series.setdefault(labels, _Series(len(self._bounds) + 1))
