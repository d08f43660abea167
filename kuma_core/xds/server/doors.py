"""The way in to a port of proxies: who shows a credential, whose stream it then is, and how many streams that makes.

Two steps. A credential is recognised before anything of the stream is read, so that who has none costs next to
nothing; whether it is good for the dataplane that the first request names is asked then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from kuma_core.auth.contract import Proof
from kuma_core.counted import CountedLine
from kuma_core.errors import KumaError
from kuma_core.xds.server import bounds
from kuma_core.xds.server.bounds import STREAMS, UNDECIDED, Crowds, Strangers, TooMany, TooSlow, address_of
from kuma_core.xds.server.codes import Failure
from kuma_core.xds.server.guard import Guard, Pass, Stopping
from kuma_core.xds.server.wire import ExcessiveRequest

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Recognised(Generic[Key]):
    """A good credential. ``allows`` returns if it is good for this proxy; it may raise what ends the stream."""

    proof: Proof
    allows: Callable[[Key], None]


Recognise = Callable[[tuple[str, ...]], Recognised[Key] | None]
"""Gets every ``authorization`` that a client shows; raises a ``KumaError`` if that is no good credential. ``None``
where everybody is believed. Runs in a thread."""


def everybody(shown: tuple[str, ...]) -> None:
    """Believe everybody."""


class Doors(Generic[Key]):
    """Of one port. ``belongs`` tells the dataplane of a key. For the event loop's thread."""

    def __init__(
        self, name: str, guard: Guard, recognise: Recognise[Key], belongs: Callable[[Key], Hashable]
    ) -> None:
        self.guard, self.recognise, self.belongs = guard, recognise, belongs
        self.strangers = Strangers()
        self.undecided = Crowds(UNDECIDED, "this credential")
        self.streams = Crowds(STREAMS, "this dataplane")
        self._refused = CountedLine(structlog.get_logger(name), "info", "a stream is refused")

    async def meet(self, context: Any, end: Callable[[KumaError], None]) -> Visitor[Key]:
        """Look at what a client shows. ``end`` is called if it takes too long from here on, or has to go."""
        visitor = Visitor(self, address_of(context), end)
        await visitor.show(credentials(context))
        return visitor

    def tell(self, error: Failure, visitor: Visitor[Key] | None) -> None:
        """Log that a stream ends of which nobody knows whose it is; once a minute for each kind of reason."""
        if visitor and not visitor.known:
            self._refused(type(error).__name__, problem=str(error)[:500], address=visitor.address)


class Visitor(Generic[Key]):
    """A stream on its way in. ``refusal`` says why its credential is none."""

    def __init__(self, doors: Doors[Key], address: str, end: Callable[[KumaError], None]) -> None:
        self.address = address
        self.refusal: KumaError | None = None
        self.known = self.is_stranger = False
        self._doors, self._end = doors, end
        self._recognised: Recognised[Key] | None = None
        self._admitted: Pass | None = None
        self._place = ExitStack()
        self._read = 0
        self._timer: asyncio.TimerHandle | None = None

    async def show(self, shown: tuple[str, ...]) -> None:
        """The first step; from here on the client's time runs."""
        try:
            self._recognised, self._admitted = await self._doors.guard.admit(
                partial(self._recognise, shown), self._end
            )
        except Stopping:
            raise
        except KumaError as error:
            self.refusal = error.with_traceback(None)
        else:
            owner = self._recognised.proof.id if self._recognised else self.address
            self._place.enter_context(self._doors.undecided.one_more(owner, self._end))
        self._timer = asyncio.get_running_loop().call_later(bounds.INTRODUCTION_SECONDS, self._end, TooSlow())

    def _recognise(self, shown: tuple[str, ...]) -> tuple[Recognised[Key] | None, Proof | None]:
        found = self._doors.recognise(shown)
        return found, found.proof if found else None

    def read(self, data: bytes) -> None:
        """Account for what it sends until it is known; raises ``ExcessiveRequest``."""
        most = bounds.MOST_OF_A_STRANGER if self.refusal else bounds.MOST_UNPROVED
        self._read += len(data)
        if self._read > most:
            raise ExcessiveRequest(
                f"a client may send {most} bytes before it is known who it is, and this one sent {self._read}"
            )

    def be_a_stranger(self) -> None:
        """Go on without a credential; raises ``TooMany``."""
        self.is_stranger = True
        self._let_go_of_the_credential()
        self._place.close()
        self._place.enter_context(self._doors.strangers.one_more(self.address))

    async def prove(self, key: Key) -> None:
        """The second step; raises what speaks against it."""
        if self.refusal:
            raise self.refusal
        if self._recognised:
            await self._doors.guard.ask(partial(self._recognised.allows, key))
        self._place.close()
        self._place.enter_context(self._doors.streams.one_more(self._doors.belongs(key), self._end))
        self._introduced()

    async def prove_or_go_on(self, key: Key) -> None:
        """For what everybody may have. Only how many streams there may be depends on a proof, and none ends with it."""
        try:
            await self.prove(key)
        except (TooMany, Stopping):
            raise
        except KumaError:
            if not self.is_stranger:
                self.be_a_stranger()
        self._let_go_of_the_credential()
        self._introduced()

    def leave(self) -> None:
        """The stream ended."""
        self.refusal = None  # whose traceback would lead back to here
        self._stop_timer()
        self._let_go_of_the_credential()
        self._place.close()

    def _introduced(self) -> None:
        self.known = True
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _let_go_of_the_credential(self) -> None:
        self._doors.guard.release(self._admitted)
        self._admitted = None


def credentials(context: Any) -> tuple[str, ...]:
    """Every ``authorization`` that a client sent along."""
    metadata = context.invocation_metadata() or ()
    return tuple(str(value) for name, value in metadata if name == "authorization")
