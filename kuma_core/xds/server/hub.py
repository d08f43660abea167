"""Where snapshots meet streams: who is connected, what each should have, and what must wait for whom.

Everything here runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from kuma_core.xds.contract import ENDPOINTS
from kuma_core.xds.server.awaited import Awaited, Waited
from kuma_core.xds.server.stream import Stream
from kuma_core.xds.snapshot import TYPES, Snapshot

Key = TypeVar("Key")
_Key = TypeVar("_Key", contravariant=True)

PATIENCE_SECONDS = 2.0
"""How long an emptied proxy waits for its clients to turn away."""


class Audience(Protocol[_Key]):
    """Is told when a client's first stream opens and its last one closes."""

    def opened(self, proxy: _Key) -> None:
        """The first stream opened."""
        ...

    def closed(self, proxy: _Key) -> None:
        """The last stream closed."""
        ...


class Session:
    """A stream and the bell that makes its writer look for responses.

    ``known`` is called when the stream gets its first snapshot: until then its owner may be a stranger.
    """

    def __init__(self, stream: Stream, known: Callable[[], None] = lambda: None) -> None:
        self.stream = stream
        self.bell = asyncio.Event()
        self.waited = Waited(stream)
        self._known = known
        self._kept_back: Snapshot | None = None
        self.is_doubted = False

    async def rest(self) -> None:
        """Wait for the bell, or until the stream itself is to be looked at again."""
        wake = self.stream.wake()
        seconds = None if wake is None else max(0.0, wake - time.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.bell.wait()
        self.bell.clear()

    def doubt(self, doubted: bool) -> None:
        """While it is asked whether its client may have what it is to get, keep that back."""
        self.is_doubted = self.waited.doubted = doubted
        if doubted:
            return
        kept_back, self._kept_back = self._kept_back, None
        if kept_back is not None:
            self.give(kept_back)
        else:
            self.bell.set()  # whoever waits for it may be told that it rests

    def give(self, snapshot: Snapshot) -> None:
        """Hand over a snapshot; a newer one replaces one that was not sent yet."""
        if self.is_doubted:
            self._kept_back = snapshot
            return
        if self.stream.snapshot is None:
            self._known()
        self.stream.snapshot = snapshot
        self.waited.put_off = False
        self.bell.set()


class _Deferred:
    """A snapshot that waits until some sessions have acknowledged their endpoints."""

    def __init__(self, snapshot: Snapshot, waiting_for: set[Session], timer: asyncio.TimerHandle) -> None:
        self.snapshot = snapshot
        self.waiting_for = waiting_for
        self.timer = timer


class Turning:
    """Somebody of another thread who waits until some sessions run with their endpoints: ``left`` are those that do
    not yet, ``done`` is set once there are none."""

    def __init__(self) -> None:
        self.left: set[Session] = set()
        self.done = threading.Event()

    def rested(self, session: Session) -> None:
        """A session has its endpoints, or ended."""
        self.left.discard(session)
        if not self.left:
            self.done.set()


class Hub(Generic[Key]):
    """All open streams, by whom they belong to."""

    def __init__(self, audience: Audience[Key], patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._audience = audience
        self._patience = patience_seconds
        self._sessions: dict[Key, set[Session]] = {}
        self._current: dict[Key, Snapshot] = {}
        self._deferred: dict[Key, _Deferred] = {}
        self._turning: list[Turning] = []
        self.awaited = Awaited()

    def open(self, key: Key, session: Session) -> None:
        """A stream said whose it is."""
        sessions = self._sessions.setdefault(key, set())
        sessions.add(session)
        if key in self._current:
            session.give(self._current[key])
        if len(sessions) == 1:
            self._audience.opened(key)

    def close(self, key: Key, session: Session) -> None:
        """A stream ended."""
        self.awaited.left(session.waited)
        sessions = self._sessions.get(key, set())
        sessions.discard(session)
        if not sessions:
            self._sessions.pop(key, None)
            self._current.pop(key, None)
            self._cancel(key)
            self._audience.closed(key)
        self._no_longer_waiting(session)

    def publish(
        self,
        at_once: Mapping[Key, Snapshot],
        afterwards: Mapping[Key, Snapshot],
        since: float | None = None,
    ) -> None:
        """Hand out snapshots: some now, some when those of now have new endpoints in force.

        ``since`` is when the write began that led to them. Whoever gets its first one has just come: it is not waited
        for, as an Envoy that starts takes its time.
        """
        if since is not None:
            keys = [key for key in (*at_once, *afterwards) if key in self._current]
            waited = (session.waited for key in keys for session in self._sessions[key])
            self.awaited.begin(since, waited)
        for key, snapshot in at_once.items():
            self._give(key, snapshot)
        waiting_for = {session for key in at_once for session in self._sessions.get(key, ())}
        for key, snapshot in afterwards.items():
            self._defer(key, snapshot, {session for session in waiting_for if not _is_settled(session)})

    def rested(self, session: Session) -> None:
        """A stream had nothing to send."""
        self.awaited.rested(session.waited)

    def answered(self, session: Session) -> None:
        """A stream's client answered something; whoever waited for it may go on."""
        if (self._deferred or self._turning) and _is_settled(session):
            self._no_longer_waiting(session)

    def follow(self, turning: Turning, keys: Iterable[Key]) -> None:
        """Have somebody wait until all sessions of these have their endpoints, or are gone."""
        found = [session for key in keys for session in self._sessions.get(key, ())]
        turning.left = {session for session in found if session.is_doubted or not _is_settled(session)}
        if turning.left:
            self._turning.append(turning)
        else:
            turning.done.set()

    def give_up(self, turning: Turning) -> None:
        """Somebody waits no longer."""
        if turning in self._turning:
            self._turning.remove(turning)

    def behind(self, wanted: Callable[[Key], bool]) -> list[Key]:
        """Those wanted with a stream that does not run yet with all of its snapshot, or whose snapshot has to wait."""
        return [
            key
            for key, sessions in self._sessions.items()
            if wanted(key) and (key in self._deferred or not all(map(_runs_with_all, sessions)))
        ]

    def sessions(self) -> Iterable[Session]:
        """All open streams."""
        return [session for sessions in self._sessions.values() for session in sessions]

    def _give(self, key: Key, snapshot: Snapshot) -> None:
        self._cancel(key)
        if key in self._sessions:
            self._current[key] = snapshot
            for session in self._sessions[key]:
                session.give(snapshot)

    def _defer(self, key: Key, snapshot: Snapshot, waiting_for: set[Session]) -> None:
        if not waiting_for:
            self._give(key, snapshot)
            return
        self._cancel(key)
        for session in self._sessions.get(key, ()):
            session.waited.put_off = True
        timer = asyncio.get_running_loop().call_later(self._patience, self._give, key, snapshot)
        self._deferred[key] = _Deferred(snapshot, waiting_for, timer)

    def _cancel(self, key: Key) -> None:
        deferred = self._deferred.pop(key, None)
        if deferred:
            deferred.timer.cancel()

    def _no_longer_waiting(self, session: Session) -> None:
        for turning in list(self._turning):
            turning.rested(session)
            if turning.done.is_set():
                self._turning.remove(turning)
        for key, deferred in list(self._deferred.items()):
            deferred.waiting_for.discard(session)
            if not deferred.waiting_for:
                self._give(key, deferred.snapshot)


def _runs_with_all(session: Session) -> bool:
    return not session.is_doubted and all(session.stream.settled(type_url) for type_url in TYPES)


def _is_settled(session: Session) -> bool:
    return session.stream.settled(ENDPOINTS)
