"""waitress with bounds on what clients without a credential can use up: time, memory, descriptors, connections.

Whoever is slow gives way to whoever comes: a full server ends the connection that waits for its client the longest, and
never one whose request is at work.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any

import structlog
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer, UnixWSGIServer
from waitress.task import ThreadedTaskDispatcher

from kuma_core.runtime import descriptors
from kuma_core.runtime.http_channels import Channel

_log = structlog.get_logger("http")

HELD_BYTES = 32 * 1024 * 1024
"""How much of requests that are not answered yet may be in memory, all connections together; a single one may hold
more, if its server takes bodies that large."""

_MANY, _ACCEPTED_AT_ONCE = 50, 64
_COUNTED_BYTES = 1024 * 1024
_CROWD, _BREATH = 200, 0.005
"""With so many connections each look at them takes a millisecond; pauses bound what a byte a second of each costs."""

Accepted = tuple[socket.socket, Any]

_LOOK_SECONDS, _REST_SECONDS, _PAUSE_SECONDS, _NEWS_SECONDS = 1.0, 30.0, 0.5, 60.0


class _Doors:
    """What both kinds of waitress' servers get; ``most`` connections, ``at_once`` are paths that need no worker."""

    channel_class = Channel
    parser: Callable[[Any], HTTPRequestParser]

    def watch_over(
        self,
        name: str,
        parser: Callable[[Any], HTTPRequestParser],
        most: int,
        at_once: Collection[str],
    ) -> None:
        """Call it before ``serve``."""
        self.name, self.parser, self._most = name, parser, most
        self._at_once_paths = frozenset(at_once)
        self._at_once: list[Channel] = []
        self._uncounted = 0
        self._paused_until = 0.0
        self._exhausted, self._told = 0, float("-inf")

    # -- the loop

    def serve(self) -> None:
        """Serve until the server is closed."""
        self_: Any = self
        looked = 0.0
        while self_._map:
            crowd = len(self_.active_channels)
            pause = max(self._paused_until - time.monotonic(), 0.0)
            wasyncore.poll2(pause or (_LOOK_SECONDS if crowd else _REST_SECONDS), self_._map)
            while self._at_once:
                self._at_once.pop().service()
            if (now := time.monotonic()) >= looked + _LOOK_SECONDS:
                looked = now
                self._end_slow_clients(now)
            if crowd > _CROWD:
                time.sleep(_BREATH)

    def readable(self) -> bool:
        """Whether connections are accepted: always, but for a moment without descriptors."""
        self_: Any = self
        return bool(self_.accepting) and time.monotonic() >= self._paused_until

    def add_task(self, channel: Channel) -> None:
        """Hand a request on to a worker; the few that must not wait for one are answered by the loop itself."""
        self_: Any = self
        if self._at_once_paths and getattr(channel.requests[0], "path", "") in self._at_once_paths:
            self._at_once.append(channel)
            self_.pull_trigger()
        else:
            self_.task_dispatcher.add_task(channel)

    # -- connections

    def handle_accept(self) -> None:
        """Take one that waits, or dozens where many are connected: each look at all of these takes its time."""
        self_: Any = self
        crowded = len(self_.active_channels) > _MANY
        for taken in range(min(_ACCEPTED_AT_ONCE, self._most // 4) if crowded else 1):
            try:
                accepted = self._accept()
            except OSError as error:
                if error.errno not in descriptors.EXHAUSTED:
                    return  # its client has left already
                # Linux looks for a descriptor before it looks whether anybody waits: only the first failure is one.
                accepted = None if taken else self._accept_without_descriptors()
            if accepted is None:
                return
            self._take_in(*accepted)

    def _accept(self) -> Accepted | None:
        self_: Any = self
        found: Accepted | None = self_.accept()
        return found

    def _accept_without_descriptors(self) -> Accepted | None:
        """Use one that is kept back, or that of the connection that waits the longest; else pause."""
        if self._at_once_paths:
            with suppress(OSError), descriptors.reserve():
                return self._accept()
        if self._end_one():
            with suppress(OSError):
                return self._accept()
        self._without_descriptors()
        return None

    def _take_in(self, connection: socket.socket, address: Any) -> None:
        self_: Any = self
        if len(self_.active_channels) >= self._most and not self._end_one():
            connection.close()  # a server all of whose connections are at work
            return
        try:
            self_.set_socket_options(connection)
        except OSError:  # its client has left already
            connection.close()
            return
        Channel(self, connection, self_.fix_addr(address), self_.adj, map=self_._map)

    def _without_descriptors(self) -> None:
        """Pause: the listener would be ready again at once, without end. The log has it once a minute."""
        now = time.monotonic()
        self._paused_until = now + _PAUSE_SECONDS
        self._exhausted += 1
        if now >= self._told + _NEWS_SECONDS:
            descriptors.tell_exhausted(_log, self.name, self._exhausted)
            self._told, self._exhausted = now, 0

    def _end_one(self, among: Iterable[Channel] | None = None) -> bool:
        """End the connection that waits for its client the longest, among some or all; ``False`` if none waits."""
        self_: Any = self
        waiting = [item for item in among or self_.active_channels.values() if item.waits]
        if not waiting:
            return False
        min(waiting, key=lambda channel: float(channel.since)).handle_close()
        return True

    def _end_slow_clients(self, now: float) -> None:
        self_: Any = self
        for channel in list(self_.active_channels.values()):
            if missing := channel.overdue(now):
                channel.give_up(missing)

    # -- what requests hold

    def took(self, size: int) -> None:
        """Count what came; once in a MiB, see whether all that is held is still within its bounds."""
        self._uncounted += size
        if self._uncounted < _COUNTED_BYTES:
            return
        self._uncounted = 0
        self_: Any = self
        while True:
            holding = [channel for channel in self_.active_channels.values() if channel.held]
            if len(holding) < 2 or sum(channel.held for channel in holding) <= HELD_BYTES:
                return
            if not self._end_one(holding):
                return


class _TcpServer(_Doors, TcpWSGIServer):  # type: ignore[misc]  # its types know no channels but its own
    pass


class _UnixServer(_Doors, UnixWSGIServer):  # type: ignore[misc]
    def _accept(self) -> Accepted | None:
        """Whoever connects has no address, but a user: ``REMOTE_ADDR`` tells the number of that."""
        accepted = super()._accept()
        return accepted and (accepted[0], _user_of(accepted[0]))

    def fix_addr(self, addr: str) -> tuple[str, None]:  # type: ignore[override]  # its types know one address
        """What waitress makes of an address."""
        return addr, None


_UCRED = struct.Struct("3i")
"""Process, user and group of the other end."""


def _user_of(connection: socket.socket) -> str:
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:  # it has left already
        return "unix"
    return f"unix:uid={_UCRED.unpack(told)[1]}"


def open_server(
    name: str,
    app: Callable[..., Any],
    listener: socket.socket,
    workers: int,
    parser: Callable[[Any], HTTPRequestParser],
    most: int,
    at_once: Collection[str],
    **adjustments: Any,
) -> Any:
    """A server on a bound socket; ``serve`` runs its loop. Its workers run already."""
    adj = Adjustments(sockets=[listener], threads=workers, **adjustments)
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(workers)
    made: Any = _UnixServer if listener.family == socket.AF_UNIX else _TcpServer
    sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
    server = made(
        app, map={}, _sock=listener, dispatcher=dispatcher, adj=adj, bind_socket=False, sockinfo=sockinfo
    )
    server.watch_over(name, parser, most, at_once)
    return server
