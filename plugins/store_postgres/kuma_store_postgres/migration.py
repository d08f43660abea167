"""Brings a database to the schema of this version, by alembic, and tells how far it is."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import command, op
from alembic.config import Config as Alembic
from sqlalchemy.engine import Connection

from kuma_core.sdk import Config, SchemaStatus
from kuma_store_postgres.database import Database
from kuma_store_postgres.engine import driver_connection, new_engine
from kuma_store_postgres.schema import revisions
from kuma_store_postgres.status import require_encoding, schema_status

_LOCK = 0x6B756D61
"""Any number: whoever migrates the same database waits for whoever came first."""


def migrate_up(config: Config) -> Sequence[str]:
    """Run every revision that the database lacks, in one transaction, and return their numbers.

    Raises ``StoreUnavailable`` or ``ConfigError`` with the reason; then nothing was changed.
    """
    database = Database.of(config).without_limits()
    engine = new_engine(database)
    try:
        with database.explained(), engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            return _upgrade(connection, str(database))
    finally:
        engine.dispose()


def _upgrade(connection: Connection, where: str) -> Sequence[str]:
    driver = driver_connection(connection)
    require_encoding(driver, where)
    pending = schema_status(driver).pending
    if pending:
        alembic = Alembic()
        alembic.set_main_option("script_location", "kuma_store_postgres:migrations")
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
    return pending


def run_sql_of(revision: str) -> None:
    """Run a revision's file; called by the revision itself, inside of alembic."""
    connection = op.get_bind()
    connection.exec_driver_sql(revisions()[revision], execution_options={"no_parameters": True})


def migration_status(config: Config) -> SchemaStatus:
    """How far the schema of the database is. Raises ``StoreUnavailable`` or ``ConfigError``."""
    database = Database.of(config)
    with database.explained(), database.connect() as connection:
        return schema_status(connection)
