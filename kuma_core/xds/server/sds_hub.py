"""The open streams of secrets: what is known of each, and who is to look again."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kuma_core.errors import KumaError
from kuma_core.xds.seal import Sealed
from kuma_core.xds.server.bounds import MOST_OF_A_STRANGER, MOST_UNPROVED, TooMany
from kuma_core.xds.server.doors import Visitor
from kuma_core.xds.server.refused_secrets import RefusedSecrets
from kuma_core.xds.server.wire import SotwRequest

MOST_WAITING = 8
"""How many requests of one stream may wait; a client that sends more is not read until there is room."""

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class MadeSecret:
    """A secret ready to go out. ``fingerprint`` tells whether another one would say the same, ``authority`` that
    part of it which is the authority's; ``renew_after`` is in seconds, ``None`` for never. ``issued`` and ``ends`` are
    when a certificate was made and when it ends, in seconds since 1970."""

    sealed: Sealed = field(repr=False)
    fingerprint: str
    renew_after: float | None = None
    authority: str = ""
    issued: float = 0.0
    ends: float = 0.0


class SdsHub(Generic[Key]):
    """The open streams, so that those of a mesh can be told to look again. For the event loop's thread, but for
    ``behind``. ``counts`` has the responses by resource and outcome: sent, acknowledged or rejected."""

    def __init__(self) -> None:
        self._sessions: set[Session[Key]] = set()
        self._lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.refused = RefusedSecrets()
        self.accepted: Callable[[Key], None] = lambda key: None
        """Called in the loop when a client accepted a secret."""

    def add(self, session: Session[Key]) -> None:
        """A stream said whose it is."""
        with self._lock:
            self._sessions.add(session)

    def discard(self, session: Session[Key]) -> None:
        """A stream ended."""
        with self._lock:
            self._sessions.discard(session)

    def behind(self, concerns: Callable[[Key], bool], in_force: Mapping[str, str]) -> list[Key]:
        """Who has not acknowledged yet what is in force, which is a ``MadeSecret.authority`` for each resource; once
        for each such stream. For any thread.

        A stream that nobody uses at its other end is not waited for, and neither is one of a client that may be
        anybody: it would hold up a rotation for as long as it likes.
        """
        with self._lock:
            sessions = list(self._sessions)
        return [
            session.key
            for session in sessions
            if session.key is not None
            and concerns(session.key)
            and session.wanted
            and not session.over
            and not session.is_strange
            and session.holds != in_force.get(session.resource, session.holds)
        ]

    def holds(self, concerns: Callable[[Key], bool], resource: str) -> bool:
        """Whether one of those has accepted a secret of this name; for any thread."""
        with self._lock:
            sessions = list(self._sessions)
        mine = (session for session in sessions if session.resource == resource and session.holds is not None)
        return any(session.key is not None and concerns(session.key) for session in mine)

    def sent(self, resource: str) -> list[MadeSecret]:
        """The last secret of this name on each open stream; for any thread."""
        with self._lock:
            sessions = list(self._sessions)
        found = (session.sent for session in sessions if session.resource == resource)
        return [made for made in found if made is not None]

    def nudge(self, concerns: Any) -> None:
        """Have every stream look again whose key ``concerns(key)`` says yes to."""
        for session in self._sessions:
            if session.key is not None and concerns(session.key):
                session.nudge()

    def __len__(self) -> int:
        return len(self._sessions)


class Session(Generic[Key]):
    """What is known of one stream. ``inbox`` holds requests, what ended the stream, or ``None`` to look at the rest;
    ``holds`` is the ``authority`` of the last secret that was acknowledged; ``send_at`` is when one is sent anew;
    ``is_strange`` if its client may be anybody; ``heard`` are the bytes that came since a secret was sent."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[SotwRequest | Exception | None] = asyncio.Queue(MOST_WAITING)
        self.nudged = False
        self.key: Key | None = None
        self.resource = ""
        self.wanted = True
        self.nonce = 0
        self.sent: MadeSecret | None = None
        self.holds: str | None = None
        self.send_at: float | None = None
        self.is_strange = False
        self.questions = 0
        self.heard = 0
        self.over: KumaError | None = None

    def nudge(self) -> None:
        """Have the stream look again; many nudges are one."""
        self.nudged = True
        self._wake()

    def end(self, error: KumaError) -> None:
        """Nothing is to go out any more, whatever waits in the inbox, and nobody is to wait for an answer."""
        self.over = self.over or error
        self._wake()

    def hear(self, data: bytes, visitor: Visitor[Key]) -> None:
        """Account for what the client sends; raises ``KumaError`` or ``MalformedRequest``."""
        if self.key is None:
            visitor.read(data)
        elif self.is_strange:
            self.heard += len(data)
            if self.heard > MOST_UNPROVED or len(data) > MOST_OF_A_STRANGER:
                raise TooMany("a client without a credential has only to acknowledge what it was sent")

    def send_soon(self, seconds: float) -> None:
        """Have a secret made and sent after so many seconds, unless one is to be sent before."""
        at = asyncio.get_running_loop().time() + seconds
        self.send_at = at if self.send_at is None else min(at, self.send_at)

    def _wake(self) -> None:
        if self.inbox.empty():
            self.inbox.put_nowait(None)
