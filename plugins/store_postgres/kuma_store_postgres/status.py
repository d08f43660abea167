"""How far the schema of a database is, and what to do about it."""

from __future__ import annotations

from typing import Any

import psycopg

from kuma_core.sdk import ConfigError, SchemaStatus
from kuma_store_postgres.schema import STAMP, head, revisions


def schema_status(connection: psycopg.Connection) -> SchemaStatus:
    """How far the schema is. Raises ``ConfigError`` if a later version of the store made it."""
    current = ""
    if _value(connection, f"SELECT to_regclass('{STAMP}') IS NOT NULL"):
        current = _value(connection, f"SELECT max(version_num) FROM {STAMP}") or ""
    known = list(revisions())
    if current and current not in known:
        raise ConfigError(
            f"the schema of the database is at revision {current}, and this version of kuma-store-postgres "
            f"knows none after {head()}; install the version that made it, or a later one"
        )
    return SchemaStatus(current, head(), tuple(known[known.index(current) + 1 :] if current else known))


def require_schema(connection: psycopg.Connection, where: str) -> None:
    """Raise ``ConfigError``, which says what to run, unless the schema is that of this version."""
    status = schema_status(connection)
    if not status.pending:
        return
    if status.current:
        found = f"is at revision {status.current} of its schema, and revision {status.wanted} is needed"
    elif _value(connection, "SELECT to_regclass('resources') IS NOT NULL"):
        found = "holds the table of Kuma 0.3.1, which has to be taken over; nothing in it is lost"
    else:
        found = "holds no tables of Kuma yet"
    raise ConfigError(
        f"{where} {found}: run `kuma-cp migrate up` with the same configuration, then start again"
    )


def require_encoding(connection: psycopg.Connection, where: str) -> None:
    """Raise ``ConfigError`` unless the database can hold every character."""
    encoding = _value(connection, "SHOW server_encoding")
    if encoding != "UTF8":
        raise ConfigError(
            f"{where} has the encoding {encoding}; create it with the encoding UTF8: "
            "CREATE DATABASE kuma ENCODING 'UTF8' TEMPLATE template0"
        )


def seconds(connection: psycopg.Connection) -> float:
    """What the clock of the database shows, in seconds since 1970."""
    return float(_value(connection, "SELECT extract(epoch FROM clock_timestamp())"))


def _value(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
