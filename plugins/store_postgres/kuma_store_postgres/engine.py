"""SQLAlchemy's engine over our own connections: a bounded pool that finds out about dead ones by itself."""

from __future__ import annotations

from typing import cast

import psycopg
from sqlalchemy import Engine, QueuePool, create_engine
from sqlalchemy.engine import Connection

from kuma_store_postgres.database import Database


def new_engine(database: Database, *, autocommit: bool = False) -> Engine:
    """A pool of connections; nothing is connected yet. To be disposed of at the end.

    With ``autocommit`` every statement is a transaction of its own: half the round trips, and no connection is
    ever left inside of one.
    """
    return create_engine(
        "postgresql+psycopg://",
        creator=database.connect,
        poolclass=QueuePool,
        pool_size=database.connections,
        max_overflow=0,
        pool_timeout=max(database.connection_seconds, 1),
        pool_pre_ping=True,
        pool_use_lifo=True,
        pool_reset_on_return=None if autocommit else "rollback",
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        use_native_hstore=False,
        hide_parameters=True,
    )


def driver_connection(connection: Connection) -> psycopg.Connection:
    """The driver's own connection below one of SQLAlchemy's."""
    return cast(psycopg.Connection, connection.connection.driver_connection)
