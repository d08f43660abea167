"""The way in to a port of proxies: who shows a credential, whose stream it then is, and how many streams that makes.

Two steps. A credential is recognised before anything of the stream is read, so that who has none costs next to
nothing; whether it is good for the dataplane that the first request names is asked then. Until that request is there,
a stream is a ``Visitor`` and what the library holds for it, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from kuma_core.auth.contract import Proof, Tags
from kuma_core.counted import CountedLine
from kuma_core.errors import KumaError
from kuma_core.xds.server import bounds
from kuma_core.xds.server.bounds import (
    SILENT,
    STREAMS,
    UNDECIDED,
    Crowds,
    Strangers,
    TooMany,
    TooSlow,
    address_of,
)
from kuma_core.xds.server.codes import Failure
from kuma_core.xds.server.guard import Guard, Pass, Stopping
from kuma_core.xds.server.wire import ExcessiveRequest

Key = TypeVar("Key")

AllowsTags = Callable[[Key, Tags], None]
"""Returns if a credential allows a proxy whose Dataplane has these tags; raises ``Unauthenticated``."""


def anything(key: object, tags: Tags) -> None:
    """Allow a proxy every tag."""


@dataclass(frozen=True, slots=True)
class Recognised(Generic[Key]):
    """A good credential. ``allows`` returns if it is good for this proxy, and tells whether that depends on what the
    dataplane is; it may raise what ends the stream. ``allows_tags`` decides the same for tags that are given.
    ``is_anyone`` says that no credential was shown where none has to be: then streams are counted by address."""

    proof: Proof
    allows: Callable[[Key], bool]
    allows_tags: AllowsTags[Key] = anything
    is_anyone: bool = False


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
        self.silent = Crowds(SILENT, "this credential")
        self.undecided = Crowds(UNDECIDED, "this credential")
        self.streams = Crowds(STREAMS, "this dataplane")
        self._refused = CountedLine(structlog.get_logger(name), "info", "a stream is refused")

    def visitor(self, context: Any) -> Visitor[Key]:
        """Somebody opened a stream."""
        return Visitor(self, context)

    def tell(self, error: Failure, visitor: Visitor[Key]) -> None:
        """Log that a stream ends of which nobody knows whose it is; once a minute for each kind of reason."""
        if not visitor.known and not isinstance(error, Stopping):
            self._refused(type(error).__name__, problem=str(error)[:500], address=visitor.address)


class Visitor(Generic[Key]):
    """A stream on its way in, in the task that serves it. ``refusal`` says why its credential is none, ``over`` why the
    stream is to end."""

    __slots__ = (
        "_admitted",
        "_context",
        "_doors",
        "_first",
        "_listening",
        "_pass_on",
        "_place",
        "_read",
        "_recognised",
        "_timer",
        "address",
        "is_stranger",
        "known",
        "over",
        "refusal",
    )

    def __init__(self, doors: Doors[Key], context: Any) -> None:
        self.address = address_of(context)
        self.refusal: KumaError | None = None
        self.over: KumaError | None = None
        self.known = self.is_stranger = False
        self._doors, self._context = doors, context
        self._pass_on: Callable[[KumaError], None] | None = None
        self._first: bytes | None = None
        self._listening: asyncio.Task[Any] | None = None
        self._recognised: Recognised[Key] | None = None
        self._admitted: Pass | None = None
        self._place = ExitStack()
        self._read = 0
        self._timer: asyncio.TimerHandle | None = None

    def end(self, error: KumaError) -> None:
        """Have the stream end: it took too long, has to make room, or its credential is good no longer."""
        is_first, self.over = self.over is None, self.over or error
        if self._pass_on:
            self._pass_on(error)
        elif is_first and self._listening:
            self._listening.cancel()

    async def speaks(self, requests: AsyncIterator[bytes]) -> bool:
        """Wait for the first request; ``False`` if the client leaves without one. Raises what ends the stream."""
        if self.over:
            raise self.over
        self._listening = asyncio.current_task()
        try:
            self._first = await anext(requests, None)
        except asyncio.CancelledError:
            if self.over is None or (self._listening and self._listening.uncancel()):
                raise
            raise self.over from None
        finally:
            self._listening = None
        if self._first is None:
            return False
        if not self.is_stranger:
            self._place.close()
            self._place.enter_context(self._doors.undecided.one_more(self._owner(), self.end))
        return True

    def first_request(self) -> bytes:
        """What it said; once, so that nothing holds it for as long as the stream is open."""
        first, self._first = self._first, None
        return first or b""

    def pass_on(
        self, end: Callable[[KumaError], None], doubt: Callable[[bool], None] = lambda doubted: None
    ) -> None:
        """From here on have ``end`` called with what ends the stream.

        ``doubt`` is called with ``True`` while it is asked whether the credential fits what the dataplane is by now.
        """
        self._pass_on = end
        if self._admitted:
            self._admitted.doubt = doubt

    def allows_tags(self, key: Key, tags: Tags) -> None:
        """Return if the credential allows a dataplane with these tags; raises ``Unauthenticated``."""
        if self._recognised:
            self._recognised.allows_tags(key, tags)

    def _owner(self) -> str:
        shown = self._recognised
        return shown.proof.id if shown and not shown.is_anyone else self.address

    async def show(self) -> None:
        """The first step; from here on the client's time runs."""
        shown = credentials(self._context)
        try:
            self._recognised, self._admitted = await self._doors.guard.admit(
                partial(self._recognise, shown), self.end
            )
        except Stopping:
            raise
        except KumaError as error:
            self.refusal = error.with_traceback(None)
        else:
            self._place.enter_context(self._doors.silent.one_more(self._owner(), self.end))
        self._timer = asyncio.get_running_loop().call_later(bounds.INTRODUCTION_SECONDS, self.end, TooSlow())

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
        if self._recognised and self._admitted:
            allows = partial(self._recognised.allows, key)
            await self._doors.guard.fit(self._admitted, self._doors.belongs(key), allows)
        self._place.close()
        self._place.enter_context(self._doors.streams.one_more(self._doors.belongs(key), self.end))
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
        self.refusal = self.over = self._pass_on = None  # whose tracebacks and owners would lead back to here
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
