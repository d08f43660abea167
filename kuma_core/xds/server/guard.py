"""Ends streams: when their credentials expire, are taken back or no longer fit, and when the control plane stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from kuma_core.auth.contract import Proof, Unauthenticated
from kuma_core.errors import KumaError, NotFound, StoreUnavailable
from kuma_core.plugin.threads import Threads

_log = structlog.get_logger("xds-server")

T = TypeVar("T")

DOORS = 4
"""How many credentials are looked at at once."""

EXPIRED = (
    "the credential with which this stream was let in has expired; put a new one into the token file "
    "of kuma-dp ('kumactl generate dataplane-token')"
)


class Stopping(KumaError):
    """The control plane stops. The proxy keeps what it has, and goes to another one, or to this one when it is back."""

    def __init__(self) -> None:
        super().__init__("the control plane is stopping; connect again")


class Pass:
    """What a stream was let in with, and how to end it.

    ``again`` asks whether the credential still allows what the stream's dataplane is; ``doubt`` is called with ``True``
    when that has to be asked, and with ``False`` when it does. ``doubts`` counts the reasons to ask.
    """

    def __init__(self, proof: Proof, end: Callable[[KumaError], None]) -> None:
        self.proof, self.end = proof, end
        self.timer: asyncio.TimerHandle | None = None
        self.place: Hashable = None
        self.again: Callable[[], bool] = lambda: False
        self.doubt: Callable[[bool], None] = lambda doubted: None
        self.doubts = 0


class Guard:
    """All open streams, and what those were let in with that showed a credential. For the event loop's thread;
    credentials are asked about in threads of its own, so that no crowd of streams delays it, and no slow authority
    delays them. At rest it does nothing."""

    def __init__(self) -> None:
        self._ends: set[Callable[[KumaError], None]] = set()
        self._open: set[Pass] = set()
        self._fitting: dict[Hashable, set[Pass]] = {}  # by dataplane: those that depend on what it is
        self._doubted: set[Pass] = set()
        self._asking: asyncio.Task[None] | None = None
        self._hints = 0
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "stream-guard")
        self._doors = Threads("proxy-authentication", DOORS)

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def look_after(self, end: Callable[[KumaError], None]) -> Iterator[None]:
        """For as long as a stream is open: have ``end`` called when the control plane stops.

        Raises ``Stopping`` if it does so already.
        """
        if self._closed:
            raise Stopping
        self._ends.add(end)
        try:
            yield
        finally:
            self._ends.discard(end)

    async def ask(self, question: Callable[[], T]) -> T:
        """Call something that decides about a credential, in a thread. Raises what it raises, and ``Stopping``."""
        if self._closed:
            raise Stopping
        return await asyncio.wrap_future(self._doors.submit(question))

    async def admit(
        self, identify: Callable[[], tuple[T, Proof | None]], end: Callable[[KumaError], None]
    ) -> tuple[T, Pass | None]:
        """Call ``identify`` in a thread and look after the stream from then on, unless there is no proof.

        ``end`` is called once, if the proof is good no longer. Raises what ``identify`` raises.
        """
        hints = self._hints
        key, proof = await self.ask(identify)
        if proof is None:
            return key, None
        given = Pass(proof, end)
        self._open.add(given)
        self._set_timer(given)
        if hints != self._hints:  # it may have been taken back while it was being looked at
            self.look_again()
        return key, given

    async def fit(self, given: Pass, place: Hashable, allows: Callable[[], bool]) -> None:
        """Ask in a thread whether a credential allows what the dataplane ``place`` is.

        ``allows`` tells whether that depends on what it is: then it is asked again whenever ``look_at`` names the
        place. Raises what it raises.
        """
        given.place, given.again = place, allows
        self._fitting.setdefault(place, set()).add(given)  # before the question: it may change meanwhile
        depends, doubts = True, -1
        while depends and doubts != given.doubts:
            doubts = given.doubts
            depends = await self.ask(allows)
        if not depends:
            self._forget(given)

    def look_at(self, places: Collection[Hashable]) -> None:
        """These dataplanes are something else now. Until a stream of theirs may have that, it is in doubt."""
        for given in [given for place in places for given in self._fitting.get(place, ())]:
            given.doubts += 1
            given.doubt(True)
            self._doubted.add(given)
        if self._doubted and self._asking is None and not self._closed:
            self._asking = asyncio.get_running_loop().create_task(self._ask_again())

    async def _ask_again(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._doubted:
                asked, self._doubted = list(self._doubted), set()
                for given, error in await loop.run_in_executor(self._thread, _misfits, asked):
                    if error is not None:
                        self._end(given, error)
                    elif given in self._open and given not in self._doubted:
                        given.doubt(False)
        finally:
            self._asking = None

    def _forget(self, given: Pass) -> None:
        self._doubted.discard(given)
        fitting = self._fitting.get(given.place, set())
        fitting.discard(given)
        if not fitting:
            self._fitting.pop(given.place, None)

    def release(self, given: Pass | None) -> None:
        """A stream ended."""
        if given is not None:
            self._open.discard(given)
            self._forget(given)
            if given.timer:
                given.timer.cancel()

    def look_again(self) -> None:
        """Ask about every stream's credential: some may have been taken back. Hints that come fast are one."""
        self._hints += 1
        if self._looking is None and self._open and not self._closed:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    def close(self) -> None:
        """End all streams, and let no more in. Cut off by the library instead, each would leave a traceback."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        for end in list(self._ends):
            end(Stopping())

    async def _look(self) -> None:
        loop, seen = asyncio.get_running_loop(), -1
        try:
            while seen != self._hints:
                seen = self._hints
                for given, error in await loop.run_in_executor(self._thread, _refused, list(self._open)):
                    self._end(given, error)
        finally:
            self._looking = None

    def _set_timer(self, given: Pass) -> None:
        """The loop's clock and that of the wall may differ: an early timer is set anew."""
        if given.proof.expires is None:
            return
        left = (given.proof.expires - datetime.now(UTC)).total_seconds()
        if left <= 0:
            self._end(given, Unauthenticated(EXPIRED))
        else:
            given.timer = asyncio.get_running_loop().call_later(left, self._set_timer, given)

    def _end(self, given: Pass, error: KumaError) -> None:
        if given in self._open:
            self.release(given)
            _log.info(
                "a stream ends with its credential", credential=given.proof.id[:100], problem=str(error)
            )
            given.end(error)


def _misfits(asked: Sequence[Pass]) -> list[tuple[Pass, KumaError | None]]:
    """All of them, with why a stream has to end, if it has.

    Of a dataplane that is gone there is nothing to serve but its end; once it is there again, we are asked again.
    """
    found: list[tuple[Pass, KumaError | None]] = []
    for given in asked:
        try:
            given.again()
            found.append((given, None))
        except (NotFound, StoreUnavailable):
            found.append((given, None))
        except KumaError as error:
            found.append((given, error.with_traceback(None)))
    return found


def _refused(asked: Sequence[Pass]) -> list[tuple[Pass, Unauthenticated]]:
    """Those whose credentials are refused now; where that cannot be told, what was believed is believed still."""
    refused = []
    for given in asked:
        try:
            given.proof.confirm()
        except Unauthenticated as error:
            refused.append((given, error))
        except KumaError as error:
            _log.warning(
                "a credential cannot be asked about", credential=given.proof.id[:100], problem=str(error)
            )
    return refused
