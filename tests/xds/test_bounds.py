"""How many streams there may be, of whom, and who has to go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kuma_core.errors import KumaError
from kuma_core.xds.server import bounds
from kuma_core.xds.server.bounds import Crowds, Descriptions, Strangers, TooMany, address_of


class Stream:
    """Remembers what ended it."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def end(self, error: KumaError) -> None:
        self.ended.append(str(error))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def test_strangers_of_one_address_are_a_tenth_of_all(stack: ExitStack) -> None:
    strangers = Strangers(20)
    for _ in range(2):
        stack.enter_context(strangers.one_more("a"))
    with pytest.raises(TooMany, match="2 streams from a are open without a good credential"):
        stack.enter_context(strangers.one_more("a"))
    for number in range(18):
        stack.enter_context(strangers.one_more(str(number)))
    with pytest.raises(TooMany, match="20 streams are open without a good credential"):
        stack.enter_context(strangers.one_more("b"))
    stack.close()
    assert (len(strangers), strangers._by_address) == (0, {})


def test_of_a_crowd_the_oldest_goes_and_the_newest_stays(stack: ExitStack) -> None:
    crowds, streams, other = Crowds(2, "x"), [Stream() for _ in range(4)], Stream()
    stack.enter_context(crowds.one_more("b", other.end))
    places = [stack.enter_context(ExitStack()) for _ in streams]
    for place, stream in zip(places, streams, strict=True):
        place.enter_context(crowds.one_more("a", stream.end))
    assert [len(stream.ended) for stream in (*streams, other)] == [1, 1, 0, 0, 0]
    places[3].close()
    stack.enter_context(crowds.one_more("a", Stream().end))
    assert streams[2].ended == []
    stack.close()
    assert (len(crowds), crowds._streams) == (0, {})


def test_streams_that_do_not_end_are_bounded_too(stack: ExitStack) -> None:
    """A client that reads nothing is told only when it reads."""
    crowds = Crowds(2, "this dataplane")
    for _ in range(2 * bounds.LINGERING):
        stack.enter_context(crowds.one_more("a", Stream().end))
    with pytest.raises(TooMany, match="8 streams of this dataplane are there, of which some do not end"):
        stack.enter_context(crowds.one_more("a", Stream().end))
    stack.enter_context(crowds.one_more("b", Stream().end))


def test_of_too_many_descriptions_the_oldest_goes_with_all_its_streams(stack: ExitStack) -> None:
    found = Descriptions()
    olds, news = [Stream(), Stream()], [Stream() for _ in range(bounds.DESCRIPTIONS)]
    for stream in olds:
        stack.enter_context(found.one_more("a", "old", stream.end))
    for number, stream in enumerate(news):
        stack.enter_context(found.one_more("a", number, stream.end))
    assert [len(stream.ended) for stream in (*olds, *news)] == [1, 1, 0, 0, 0, 0]
    stack.close()
    assert found._open == {}


def waits(*descriptions: str) -> list[float]:
    recent = bounds._Recent()
    return [recent.wait(hash(description), 100.0) for description in descriptions]


def test_who_says_the_same_never_waits() -> None:
    assert waits(*"abcdabcdabcd") == [0.0] * 12


def test_who_always_says_something_else_waits_longer_and_longer_up_to_a_bound() -> None:
    found = waits(*map(str, range(100)))
    assert found[:8] == [0, 0, 0, 0, 2, 4, 6, 8]
    assert max(found) == bounds.STREAMS * bounds.DESCRIPTION_SECONDS


def test_who_waits_cannot_jump_the_queue_by_coming_again() -> None:
    assert waits(*"abcdefe") == [0, 0, 0, 0, 2, 4, 2]


def test_patience_is_earned_back() -> None:
    recent = bounds._Recent()
    for number in range(6):
        recent.wait(number, 100.0)
    assert recent.wait(6, 200.0) == 0


def test_pacing_keeps_nobody_else_waiting() -> None:
    async def run() -> None:
        found = Descriptions()
        for number in range(bounds.DESCRIPTIONS):
            await found.pace("a", number)
        slow = asyncio.ensure_future(found.pace("a", "another"))
        await asyncio.wait_for(found.pace("b", "any"), 1)
        assert not slow.done()
        slow.cancel()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::/64"),
        ("ipv6:[2001:db8::2]:5000", "2001:db8::/64"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5000", "10.0.0.1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5000", "fe80::/64"),
        ("unix:/a", "unix:/a"),
    ],
)
def test_an_address(peer: str, address: str) -> None:
    class Context:
        def peer(self) -> str:
            return peer

    assert address_of(Context()) == address
