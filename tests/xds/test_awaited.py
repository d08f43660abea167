"""From a write to the last acknowledgement: who is waited for, and what counts."""

from __future__ import annotations

from kuma_core.xds.server.awaited import MOST_AWAITED, Awaited, Waited
from kuma_core.xds.since import Since


class Stream:
    def __init__(self) -> None:
        self.rejections = 0
        self.flying = True

    def at_rest(self) -> bool:
        return not self.flying


class Bench:
    """Some streams, and a clock of the test's."""

    def __init__(self, count: int) -> None:
        self.now = 100.0
        self.streams = [Stream() for _ in range(count)]
        self.waited = [Waited(stream) for stream in self.streams]
        self.awaited = Awaited(lambda: self.now)

    def answer(self, number: int, at: float, *, rejecting: bool = False) -> None:
        self.now = at
        self.streams[number].flying = False
        self.streams[number].rejections += rejecting
        self.awaited.rested(self.waited[number])

    @property
    def counted(self) -> tuple[int, float]:
        ((_, found),) = self.awaited.times.read()
        return sum(found.counts), found.sum


def test_the_last_acknowledgement_counts() -> None:
    bench = Bench(2)
    bench.awaited.begin(90, bench.waited)
    bench.answer(0, 101)
    assert (bench.counted, len(bench.awaited), bench.awaited.oldest_seconds) == ((0, 0), 1, 11)
    bench.answer(1, 103)
    assert (bench.counted, len(bench.awaited), bench.awaited.oldest_seconds) == ((1, 13), 0, 0)
    bench.answer(1, 109)
    assert bench.counted == (1, 13)


def test_a_stream_with_an_unanswered_response_is_waited_for() -> None:
    bench = Bench(1)
    bench.awaited.begin(90, bench.waited)
    bench.awaited.rested(bench.waited[0])
    assert bench.counted == (0, 0)


def test_nobody_is_no_write() -> None:
    bench = Bench(1)
    bench.awaited.begin(90, [])
    assert (bench.counted, len(bench.awaited)) == ((0, 0), 0)


def test_who_leaves_or_rejects_acknowledges_nothing() -> None:
    bench = Bench(3)
    bench.awaited.begin(90, bench.waited)
    bench.answer(0, 101)
    bench.answer(1, 105, rejecting=True)
    bench.now = 120
    bench.awaited.left(bench.waited[2])
    assert bench.counted == (1, 11)
    bench.awaited.begin(120, bench.waited[:1])
    bench.awaited.left(bench.waited[0])
    assert (bench.counted, len(bench.awaited)) == ((1, 11), 0)


def test_one_answer_may_end_several_writes() -> None:
    bench = Bench(2)
    bench.awaited.begin(90, bench.waited)
    bench.awaited.begin(95, bench.waited[:1])
    bench.answer(0, 101)
    assert (bench.counted, bench.awaited.oldest_seconds) == ((1, 6), 11)
    bench.answer(1, 102)
    assert bench.counted == (2, 18)


def test_what_is_put_off_is_waited_for() -> None:
    bench = Bench(1)
    bench.awaited.begin(90, bench.waited)
    bench.waited[0].put_off = True
    bench.answer(0, 101)
    assert bench.counted == (0, 0)
    bench.waited[0].put_off = False
    bench.answer(0, 102)
    assert bench.counted == (1, 12)


def test_a_proxy_that_answers_nothing_costs_no_memory_without_end() -> None:
    bench = Bench(1)
    for _ in range(MOST_AWAITED + 5):
        bench.awaited.begin(90, bench.waited)
    assert (len(bench.awaited), len(bench.waited[0].writes)) == (MOST_AWAITED, MOST_AWAITED)
    assert bench.counted == (5, 50)


def test_the_oldest_write_of_a_round_counts() -> None:
    since = Since()
    since.hear("shop", 3)
    since.hear("shop", 5)
    since.hear("shop", 0)
    since.hear("", 4)
    since.show(["shop", "other"])
    assert (since.take("shop"), since.take("shop"), since.take("other")) == (3, None, 4)


def test_what_touches_nobody_is_forgotten() -> None:
    since = Since()
    since.hear("shop", 3)
    since.show([])
    since.show(["shop"])
    assert since.take("shop") is None


def test_a_global_resource_may_touch_every_mesh() -> None:
    since = Since()
    since.hear("of its own", 7)
    since.show(["shop"])
    assert since.take("shop") == 7
