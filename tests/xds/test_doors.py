"""A stream on its way in: what it holds until it says something, and how it ends before that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from kuma_core.xds.server.bounds import Crowds, TooMany, TooSlow
from kuma_core.xds.server.doors import Doors, Visitor, everybody
from kuma_core.xds.server.guard import Guard

CONTEXT = SimpleNamespace(peer=lambda: "ipv4:127.0.0.1:1", invocation_metadata=lambda: ())


class Silence:
    """Requests of a client that says nothing before ``said`` is set."""

    def __init__(self) -> None:
        self.said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self.said


def doors() -> Doors[str]:
    made: Doors[str] = Doors("xds-server", Guard(), everybody, lambda key: key)
    made.silent = Crowds(2, "this credential")
    return made


async def come(to: Doors[str]) -> tuple[Visitor[str], Silence, asyncio.Task[bool]]:
    visitor, silence = to.visitor(CONTEXT), Silence()
    await visitor.show()
    waiting = asyncio.create_task(visitor.speaks(silence))
    await asyncio.sleep(0)
    return visitor, silence, waiting


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_of_silent_streams_the_oldest_makes_room() -> None:
    async def test() -> None:
        found = doors()
        (_, _, oldest), (_, _, second), (_, _, newest) = [await come(found) for _ in range(3)]
        with pytest.raises(TooMany, match="2 newer streams of this credential are open"):
            await oldest
        assert not second.done()
        assert not newest.done()

    run(test())


def test_who_has_said_something_is_silent_no_more() -> None:
    async def test() -> None:
        found = doors()
        came = [await come(found)]
        for _ in range(5):
            came[-1][1].said.set_result(b"x")
            assert await came[-1][2]
            assert [came[-1][0].first_request() for _ in range(2)] == [b"x", b""], "it is held once"
            came.append(await come(found))
        assert (len(found.silent), len(found.undecided)) == (1, 5)
        for visitor, _, _ in came:
            visitor.leave()
        assert (len(found.silent), len(found.undecided)) == (0, 0)

    run(test())


def test_the_first_reason_ends_a_silent_stream_whatever_comes_behind() -> None:
    async def test() -> None:
        visitor, _, waiting = await come(doors())
        visitor.end(TooSlow())
        visitor.end(TooMany("later"))
        with pytest.raises(TooSlow):
            await waiting
        with pytest.raises(TooSlow):
            await visitor.speaks(Silence())

    run(test())


def test_a_client_that_leaves_is_no_reason() -> None:
    async def test() -> None:
        _, _, waiting = await come(doors())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(test())


def test_what_ends_a_stream_is_passed_on_once_it_has_said_something() -> None:
    async def test() -> None:
        visitor, silence, waiting = await come(doors())
        silence.said.set_result(b"x")
        await waiting
        ended: list[Exception] = []
        visitor.pass_on(ended.append)
        visitor.end(TooSlow())
        assert [type(error) for error in ended] == [TooSlow]

    run(test())
