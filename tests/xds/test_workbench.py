"""Long questions: each in turn, only so many at once, and nobody waits for ever."""

from __future__ import annotations

import threading
import time

import pytest

from kuma_core.errors import Busy, NotFound
from kuma_core.testing.waiting import eventually
from kuma_core.xds.workbench import Steps, Workbench


def counting(steps: int, seconds: float = 0) -> Steps[int]:
    for _ in range(steps):
        time.sleep(seconds)
        yield
    return steps


def failing() -> Steps[int]:
    yield
    raise NotFound("nothing there")


def test_it_answers_and_raises_what_the_work_does() -> None:
    bench = Workbench()
    assert bench.do(counting(3), 10) == 3
    with pytest.raises(NotFound, match="nothing there"):
        bench.do(failing(), 10)
    assert bench.do(counting(0), 10) == 0


def test_a_short_question_does_not_wait_for_a_long_one() -> None:
    bench = Workbench()
    long = threading.Thread(target=lambda: bench.do(counting(300, 0.01), 30))
    long.start()
    began = time.monotonic()
    assert bench.do(counting(2), 30) == 2
    assert time.monotonic() - began < 1.5 < 3
    assert long.is_alive()
    long.join(30)


def test_too_many_questions_are_refused_at_once() -> None:
    bench, go = Workbench(most=2), threading.Event()

    def waiting() -> Steps[int]:
        go.wait(30)
        yield
        return 1

    threads = [threading.Thread(target=lambda: bench.do(waiting(), 30)) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: bench._count == 2)
    with pytest.raises(Busy, match="2 such questions are being answered already"):
        bench.do(counting(1), 30)
    go.set()
    for thread in threads:
        thread.join(30)
    assert bench.do(counting(1), 30) == 1


def test_who_waited_too_long_is_told_and_the_work_ends() -> None:
    bench = Workbench()
    closed = threading.Event()

    def endless() -> Steps[int]:
        try:
            while True:
                time.sleep(0.001)
                yield
        finally:
            closed.set()

    with pytest.raises(Busy, match="too busy"):
        bench.do(endless(), 0.1)
    assert closed.wait(10)
    assert bench.do(counting(1), 10) == 1


def test_its_thread_is_there_only_while_there_is_work() -> None:
    bench = Workbench()
    bench.do(counting(1), 10)
    eventually(lambda: not any(thread.name == "xds-preview" for thread in threading.enumerate()))
