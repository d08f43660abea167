"""How the kernel gets at the store and at its schema, without importing what either needs before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from kuma_core.sdk import Config, Migrations, SchemaStatus, Store, StoreFactory


def _open(config: Config) -> AbstractContextManager[Store]:
    from kuma_store_postgres.opening import open_store

    return open_store(config)


def _up(config: Config) -> Sequence[str]:
    from kuma_store_postgres.migration import migrate_up

    return migrate_up(config)


def _status(config: Config) -> SchemaStatus:
    from kuma_store_postgres.migration import migration_status

    return migration_status(config)


def _sql() -> str:
    from kuma_store_postgres.schema import schema_sql

    return schema_sql()


FACTORY = StoreFactory("postgres", _open, Migrations(_up, _status, _sql))
