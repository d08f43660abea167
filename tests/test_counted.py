"""Lines of the log that are counted instead of repeated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kuma_core import counted
from kuma_core.counted import CountedLine


class Log:
    """Remembers what was written, and has a clock that is set by hand."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.now = 0.0

    def info(self, event: str, **said: Any) -> None:
        assert event == "oops"
        self.lines.append(said)

    def line(self) -> CountedLine:
        return CountedLine(self, "info", "oops", lambda: self.now)


def test_one_a_minute_and_how_many_there_were() -> None:
    log = Log()
    line = log.line()
    for number in range(1000):
        line("a", number=number)
    assert log.lines == [{"number": 0}]
    log.now = 61
    line("a", number=1000)
    assert log.lines[1:] == [{"number": 1000, "like_it": 999}]
    log.now = 200
    line("a", number=1001)
    assert log.lines[2:] == [{"number": 1001}]


def test_kinds_are_told_apart_as_far_as_there_are_few() -> None:
    log = Log()
    line = log.line()
    for number in range(10 * counted.MOST_KINDS):
        line(str(number))
    assert len(log.lines) == counted.MOST_KINDS + 1


def test_kinds_whose_time_is_over_make_room_and_what_was_held_back_is_told() -> None:
    log = Log()
    line = log.line()
    for number in range(counted.MOST_KINDS):
        line(str(number), number=number)
    line("7", number="again")
    log.lines.clear()
    log.now = 61
    line("another", number="another")
    line("one more", number="one more")
    assert log.lines == [{"number": "again", "like_it": 1}, {"number": "another"}, {"number": "one more"}]


def test_in_an_event_loop_the_count_comes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "SECONDS", 0.05)

    async def run() -> None:
        log = Log()
        lines, line = log.lines, CountedLine(log, "info", "oops")
        for number in range(5):
            line("a", number=number)
        async with asyncio.timeout(10):
            while len(lines) < 2:
                await asyncio.sleep(0.005)
        assert lines == [{"number": 0}, {"number": 4, "like_it": 4}]

    asyncio.run(run())
