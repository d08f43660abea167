"""The guard of streams: whom it ends, when it asks, and that it lets go of what is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kuma_core.auth.contract import Proof, Unauthenticated
from kuma_core.errors import KumaError, NotFound, StoreUnavailable
from kuma_core.xds.server import guard as module
from kuma_core.xds.server.guard import EXPIRED, Guard, Pass


class Credential:
    """One that can be taken back, and counts how often it is asked about."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    def confirm(self) -> None:
        self.asked += 1
        if self.error:
            raise self.error

    def proof(self, seconds: float | None = None) -> Proof:
        expires = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        return Proof("a", expires, self.confirm)


class Stream:
    """Remembers what ended it."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def end(self, error: Unauthenticated) -> None:
        self.errors.append(str(error))


def running(test: Callable[[Guard], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in an event loop, with a guard of its own."""

    def run() -> None:
        async def whole() -> None:
            guard = Guard()
            try:
                await test(guard)
            finally:
                guard.close()

        asyncio.run(whole())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def admit(guard: Guard, proof: Proof | None, stream: Stream) -> Pass | None:
    key, given = await guard.admit(lambda: ("key", proof), stream.end)
    assert key == "key"
    return given


async def until(probe: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not probe():
            await asyncio.sleep(0.001)


async def looked(guard: Guard) -> None:
    await until(lambda: guard._looking is None)


@running
async def test_a_stream_without_a_proof_is_nobodys_business(guard: Guard) -> None:
    assert await admit(guard, None, Stream()) is None
    guard.release(None)
    assert len(guard) == 0


@running
async def test_what_is_raised_is_raised(guard: Guard) -> None:
    def refuse() -> tuple[str, Proof | None]:
        raise Unauthenticated("no")

    with pytest.raises(Unauthenticated, match="no"):
        await guard.admit(refuse, Stream().end)
    assert len(guard) == 0


@running
async def test_after_a_hint_those_that_were_taken_back_end_and_no_others(guard: Guard) -> None:
    one, other = Credential(), Credential()
    ended, stays = Stream(), Stream()
    await admit(guard, one.proof(), ended)
    await admit(guard, other.proof(), stays)
    one.error = Unauthenticated("it was revoked")
    guard.look_again()
    await until(lambda: ended.errors)
    await looked(guard)
    assert (ended.errors, stays.errors, len(guard)) == (["it was revoked"], [], 1)
    guard.look_again()
    await looked(guard)
    assert (one.asked, other.asked) == (1, 2)


@running
async def test_hints_that_come_fast_are_one(guard: Guard) -> None:
    credential = Credential()
    await admit(guard, credential.proof(), Stream())
    for _ in range(100):
        guard.look_again()
    await looked(guard)
    assert credential.asked == 1


@running
async def test_a_hint_while_it_asks_has_it_ask_again(guard: Guard) -> None:
    entered, go_on = threading.Event(), threading.Event()
    asked = []

    def confirm() -> None:
        asked.append(1)
        entered.set()
        assert go_on.wait(10)

    await admit(guard, Proof("a", None, confirm), Stream())
    guard.look_again()
    await until(entered.is_set)
    guard.look_again()
    go_on.set()
    await looked(guard)
    assert len(asked) == 2


@running
async def test_a_hint_while_somebody_is_let_in_is_not_lost(guard: Guard) -> None:
    """It was verified before the revocation was known, and is registered after everybody was asked."""
    credential, stream = Credential(), Stream()
    entered, go_on = threading.Event(), threading.Event()

    def slowly() -> tuple[str, Proof | None]:
        entered.set()
        assert go_on.wait(10)
        return "key", credential.proof()

    admitted = asyncio.create_task(guard.admit(slowly, stream.end))
    await until(entered.is_set)
    credential.error = Unauthenticated("it was revoked")
    guard.look_again()
    go_on.set()
    await admitted
    await until(lambda: stream.errors)
    assert stream.errors == ["it was revoked"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), KumaError("broken")])
def test_where_it_cannot_be_told_what_was_believed_is_believed(error: Exception) -> None:
    @running
    async def test(guard: Guard) -> None:
        credential, stream = Credential(), Stream()
        credential.error = error
        await admit(guard, credential.proof(), stream)
        guard.look_again()
        await looked(guard)
        assert (credential.asked, stream.errors, len(guard)) == (1, [], 1)

    test()


@running
async def test_it_ends_when_it_expires_without_being_asked_about(guard: Guard) -> None:
    credential, stream = Credential(), Stream()
    proof = credential.proof(0.1)
    await admit(guard, proof, stream)
    assert stream.errors == []
    await until(lambda: stream.errors)
    assert proof.expires is not None
    assert datetime.now(UTC) >= proof.expires
    assert (stream.errors, credential.asked, len(guard)) == ([EXPIRED], 0, 0)


@running
async def test_what_has_expired_already_ends_at_once(guard: Guard) -> None:
    stream = Stream()
    await admit(guard, Credential().proof(-1), stream)
    assert stream.errors == [EXPIRED]


def test_a_timer_that_rings_early_by_the_clock_of_the_wall_is_set_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Clock(datetime):
        ahead = timedelta(0)

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + cls.ahead

    monkeypatch.setattr(module, "datetime", Clock)

    @running
    async def test(guard: Guard) -> None:
        stream = Stream()
        given = await admit(guard, Credential().proof(0.05), stream)
        assert given
        first = given.timer
        Clock.ahead = timedelta(seconds=-3600)  # somebody set the clock back
        await until(lambda: given.timer is not first)
        assert stream.errors == []
        Clock.ahead = timedelta(0)
        guard._set_timer(given)
        await until(lambda: stream.errors)

    test()


@running
async def test_a_stream_that_ended_by_itself_is_forgotten(guard: Guard) -> None:
    credential, stream = Credential(), Stream()
    given = await admit(guard, credential.proof(0.05), stream)
    assert given
    guard.release(given)
    assert given.timer is not None
    assert given.timer.cancelled()
    credential.error = Unauthenticated("it was revoked")
    guard.look_again()
    await asyncio.sleep(0.1)
    assert (len(guard), credential.asked, stream.errors) == (0, 0, [])


@running
async def test_once_it_is_closed_nobody_is_asked(guard: Guard) -> None:
    credential = Credential()
    await admit(guard, credential.proof(), Stream())
    guard.close()
    guard.look_again()
    await looked(guard)
    assert credential.asked == 0


@running
async def test_a_stream_is_ended_once(guard: Guard) -> None:
    credential, stream = Credential(), Stream()
    given = await admit(guard, credential.proof(0.05), stream)
    assert given
    credential.error = Unauthenticated("it was revoked")
    guard.look_again()
    await until(lambda: stream.errors)
    guard.release(given)
    await asyncio.sleep(0.1)
    assert stream.errors == ["it was revoked"]


class Fitting:
    """A credential that depends on what a dataplane is."""

    def __init__(self, depends: bool = True) -> None:
        self.depends, self.asked = depends, 0
        self.error: Exception | None = None
        self.doubts: list[bool] = []

    def allows(self) -> bool:
        self.asked += 1
        if self.error:
            raise self.error
        return self.depends

    async def admit(self, guard: Guard, stream: Stream, place: str = "web-1") -> Pass:
        given = await admit(guard, Proof("a"), stream)
        assert given
        given.doubt = self.doubts.append
        await guard.fit(given, place, self.allows)
        return given


async def asked_again(guard: Guard) -> None:
    await until(lambda: guard._asking is None)


@running
async def test_a_dataplane_that_is_another_one_has_its_streams_asked_about(guard: Guard) -> None:
    fits, stream, elsewhere = Fitting(), Stream(), Fitting()
    await fits.admit(guard, stream)
    await elsewhere.admit(guard, Stream(), "web-2")
    guard.look_at({"web-1", "nobody"})
    assert fits.doubts == [True]  # at once: nothing may go out in between
    await asked_again(guard)
    assert (fits.doubts, fits.asked, stream.errors) == ([True, False], 2, [])
    assert (elsewhere.doubts, elsewhere.asked) == ([], 1)
    fits.error = Unauthenticated("not for this one")
    guard.look_at({"web-1"})
    await asked_again(guard)
    assert (fits.doubts, stream.errors) == ([True, False, True], ["not for this one"])
    assert (len(guard), list(guard._fitting)) == (1, ["web-2"])


@running
async def test_who_does_not_depend_on_the_dataplane_is_not_asked_again(guard: Guard) -> None:
    named = Fitting(depends=False)
    await named.admit(guard, Stream())
    guard.look_at({"web-1"})
    assert (named.doubts, named.asked, guard._asking, guard._fitting) == ([], 1, None, {})


@pytest.mark.parametrize("error", [NotFound("gone"), StoreUnavailable("away")])
def test_a_dataplane_that_is_gone_ends_no_stream(error: Exception) -> None:
    """It is to be emptied over just that stream."""

    @running
    async def test(guard: Guard) -> None:
        fits, stream = Fitting(), Stream()
        await fits.admit(guard, stream)
        fits.error = error
        guard.look_at({"web-1"})
        await asked_again(guard)
        assert (fits.doubts, stream.errors) == ([True, False], [])

    test()


@running
async def test_an_authenticator_that_fails_ends_the_stream(guard: Guard) -> None:
    fits, stream = Fitting(), Stream()
    await fits.admit(guard, stream)
    fits.error = KumaError('plugin "acme" failed')
    guard.look_at({"web-1"})
    await asked_again(guard)
    assert stream.errors == ['plugin "acme" failed']


@running
async def test_a_change_while_somebody_is_let_in_is_asked_about(guard: Guard) -> None:
    entered, go_on, asked = threading.Event(), threading.Event(), []

    def allows() -> bool:
        asked.append(1)
        entered.set()
        assert go_on.wait(30)
        return True

    given = await admit(guard, Proof("a"), Stream())
    assert given
    fitting = asyncio.create_task(guard.fit(given, "web-1", allows))
    await until(entered.is_set)
    guard.look_at({"web-1"})
    go_on.set()
    await fitting
    await asked_again(guard)
    assert len(asked) == 3  # by whoever lets it in, once more by the same, and by whoever looks again


@running
async def test_a_stream_that_left_is_forgotten(guard: Guard) -> None:
    fits = Fitting()
    given = await fits.admit(guard, Stream())
    guard.look_at({"web-1"})
    guard.release(given)
    await asked_again(guard)
    guard.look_at({"web-1"})
    assert (guard._fitting, guard._doubted, fits.doubts) == ({}, set(), [True])
