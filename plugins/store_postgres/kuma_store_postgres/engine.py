"""SQLAlchemy's engine over our own connections: a bounded pool that finds out about dead ones by itself."""

from __future__ import annotations

import select
from typing import cast

import psycopg
from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import InvalidatePoolError

from kuma_store_postgres.database import Database


def new_engine(database: Database, *, autocommit: bool = False) -> Engine:
    """A pool of connections; nothing is connected yet. To be disposed of at the end.

    With ``autocommit`` every statement is a transaction of its own: half the round trips, and no connection is
    ever left inside of one.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        creator=database.connect,
        poolclass=QueuePool,
        pool_size=database.connections,
        max_overflow=0,
        pool_timeout=max(database.connection_seconds, 1),
        pool_use_lifo=True,
        pool_reset_on_return=None if autocommit else "rollback",
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        use_native_hstore=False,
        hide_parameters=True,
    )
    event.listen(engine, "checkout", _refuse_stale)
    return engine


def _refuse_stale(connection: psycopg.Connection, record: object, proxy: object) -> None:
    """Have a connection replaced, and with it all older ones, if the database has closed it meanwhile.

    An idle connection has nothing to read but its end. Asking the socket costs microseconds; the ping by a
    query, which SQLAlchemy offers, would double the time of most verbs.
    """
    if connection.closed or _readable(connection.fileno()):
        raise InvalidatePoolError("the database has closed the connection")


def _readable(descriptor: int) -> bool:
    poll = select.poll()  # unlike select.select, it takes any descriptor
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def driver_connection(connection: Connection) -> psycopg.Connection:
    """The driver's own connection below one of SQLAlchemy's."""
    return cast(psycopg.Connection, connection.connection.driver_connection)
