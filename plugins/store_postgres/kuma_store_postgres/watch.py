"""What others and we ourselves write, heard on a connection of its own (LISTEN) without ever asking for it.

One thread reads, so that the database never waits for a slow listener; the calling thread publishes.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from kuma_core.sdk import Change, Op, Publish, ResourceKey, Stop
from kuma_store_postgres.database import Database
from kuma_store_postgres.statements import CHANNEL

BACKLOG = 10_000
"""How many changes a slow listener may be behind; past that it gets one RESYNC instead."""


def payload_of(op: Op, key: ResourceKey) -> str:
    """A change as it is told: in less than 8000 bytes, as the database wants it, for no part is too long.

    A blank and the version of the record follow, where there is one.
    """
    return json.dumps([op.value, key.type, key.mesh, key.name])


def change_of(payload: str) -> Change:
    """A change as it was told; what cannot be read may mean anything."""
    try:
        (op, type, mesh, name), end = json.JSONDecoder().raw_decode(payload)
        return Change(Op(op), ResourceKey(str(type), str(mesh), str(name)), payload[end:].strip())
    except (ValueError, TypeError):
        return Change(Op.RESYNC)


def watch(database: Database, publish: Publish, stop: Stop, backlog: int) -> None:
    """Publish a RESYNC once attached, then every change, until ``stop`` is set. Raises ``psycopg.Error``."""
    if stop.is_set():
        return
    with database.connect() as connection:
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        waiting = _Waiting(backlog)
        with stop.calling(waiting.wake), _reading(connection, waiting):
            while not stop.is_set():
                for change in waiting.take(stop):
                    if stop.is_set():
                        return
                    publish(change)


@contextmanager
def _reading(connection: psycopg.Connection, waiting: _Waiting) -> Iterator[None]:
    """Read what is told, in a thread that is gone afterwards."""
    end, wake = socket.socketpair()
    with end, wake:
        thread = threading.Thread(
            target=_read, args=(connection, end, waiting), name="store-postgres-listen", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            wake.send(b"x")
            thread.join()


def _read(connection: psycopg.Connection, end: socket.socket, waiting: _Waiting) -> None:
    """Sleep until the database or ``end`` has something to say; ends with the connection or with ``end``."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(end, selectors.EVENT_READ)
            ready: set[object] = set()
            while end not in ready:
                for notify in connection.notifies(timeout=0):
                    waiting.add(change_of(notify.payload))
                ready = {key.fileobj for key, _ in selector.select()}
    except psycopg.Error as error:
        waiting.fail(error)


class _Waiting:
    """What the listener has not seen yet; it begins with a RESYNC."""

    def __init__(self, backlog: int) -> None:
        self._changed = threading.Condition()
        self._backlog = backlog
        self._failure: psycopg.Error | None = None
        self._changes: deque[Change] = deque([Change(Op.RESYNC)])

    def add(self, change: Change) -> None:
        with self._changed:
            if len(self._changes) >= self._backlog:
                self._changes = deque([Change(Op.RESYNC)])
            else:
                self._changes.append(change)
            self._changed.notify()

    def fail(self, error: psycopg.Error) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def take(self, stop: Stop) -> Iterator[Change]:
        """Everything that waits, after waiting for something; nothing once ``stop`` is set.

        Raises the error with which the connection was lost, as soon as nothing waits any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._changes or self._failure or stop.is_set())
            taken, self._changes = self._changes, deque()
            if not taken and self._failure and not stop.is_set():
                raise self._failure
        return iter(taken)
