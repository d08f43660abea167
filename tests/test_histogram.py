"""The one histogram that everything is counted with."""

from __future__ import annotations

import threading

import pytest

from kuma_core.histogram import OTHER, Distribution, Histogram


def test_a_value_at_a_bound_counts_as_below_it() -> None:
    histogram = Histogram((0.1, 1))
    for value in [0.05, 0.1, 0.5, 1, 7]:
        histogram.observe(value)
    ((labels, found),) = histogram.read()
    assert (labels, found) == ((), Distribution((0.1, 1), (2, 2, 1), pytest.approx(8.65)))
    assert found.cumulative() == [(0.1, 2), (1, 4), (float("inf"), 5)]


def test_without_labels_it_is_there_before_the_first_value() -> None:
    assert [found.counts for _, found in Histogram((1,)).read()] == [(0, 0)]
    assert list(Histogram((1,), 1).read()) == []


def test_too_many_labels_are_others() -> None:
    histogram = Histogram((1,), 2, most_series=3)
    for number in range(10):
        histogram.observe(0.5, "GET", str(number))
    found = {labels: sum(item.counts) for labels, item in histogram.read()}
    assert found == {("GET", "0"): 1, ("GET", "1"): 1, ("GET", "2"): 1, (OTHER, OTHER): 7}


@pytest.mark.parametrize("found", [Distribution((1, 1), (0, 0, 0), 0), Distribution((1,), (0,), 0)])
def test_what_is_no_histogram_is_refused(found: Distribution) -> None:
    with pytest.raises(ValueError, match=r"have to grow|shorter"):
        found.cumulative()


def test_no_value_is_lost_between_threads() -> None:
    histogram = Histogram((0.5,), 1)

    def observe() -> None:
        for _ in range(20_000):
            histogram.observe(0.25, "a")

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(found.counts, found.sum) for _, found in histogram.read()] == [((80_000, 0), 20_000.0)]
