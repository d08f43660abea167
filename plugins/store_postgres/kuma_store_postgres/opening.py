"""The start of the store: wait for the database a little, look at its schema, and hand the store over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import structlog

from kuma_core.sdk import Config, ConfigError, apart
from kuma_store_postgres.database import Database
from kuma_store_postgres.patience import PatientConnection
from kuma_store_postgres.problems import refusal, said, sentence
from kuma_store_postgres.status import require_encoding, require_schema, seconds
from kuma_store_postgres.store import PostgresStore

_log = structlog.get_logger("store-postgres")

_FIRST_DELAY, _LONGEST_DELAY = 0.1, 1.0


@contextmanager
def open_store(config: Config) -> Iterator[PostgresStore]:
    """A store over the database that the configuration names; its pool is closed at the end.

    A database that cannot be reached is tried again for ``store.postgres.connectionTimeout`` seconds. Raises
    ``StoreUnavailable`` after that, and ``ConfigError`` at once for what no waiting mends.
    """
    database = Database.of(config)
    with database.explained(), first_connection(database) as connection:
        require_encoding(connection, str(database))
        require_schema(connection, str(database))
        _look_at_clock(connection, database)
    store = PostgresStore(database)
    try:
        yield store
    finally:
        store.close()


def _look_at_clock(connection: PatientConnection, database: Database) -> None:
    """Warn if the machines disagree on the time: then proxies will, too, on what a certificate's times mean."""
    clock = apart(seconds(connection), time.time())
    if clock:
        _log.warning(f"the clock of {database} differs from ours", clock=clock)


def first_connection(database: Database) -> PatientConnection:
    """A connection, waited for with growing pauses. Raises ``psycopg.Error`` or ``ConfigError``."""
    deadline = time.monotonic() + database.connection_seconds
    delay = _FIRST_DELAY
    while True:
        try:
            return database.connect()
        except psycopg.OperationalError as error:
            if refusal(error):
                raise ConfigError(sentence(error, str(database))) from None
            if time.monotonic() + delay > deadline:
                raise
            _log.warning("the database cannot be reached yet", problem=said(error), seconds=delay)
            time.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)
