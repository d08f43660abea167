"""The store keeps the contract of every store, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kuma_core.sdk import Store
from kuma_core.testing.stores import StoreSuite
from kuma_store_postgres.database import Database
from kuma_store_postgres.store import PostgresStore

from .server import Server, config_of

BACKLOG = 500


class TestPostgresStore(StoreSuite):
    BACKLOG = BACKLOG
    UPDATES = 150

    @pytest.fixture
    def where(self, server: Server, database: str) -> Database:
        return Database.of(config_of(server.environ(database)))

    @pytest.fixture
    def store(self, where: Database) -> Iterator[Store]:
        store = PostgresStore(where, BACKLOG)
        yield store
        store.close()

    @pytest.fixture
    def other(self, where: Database, store: Store) -> Iterator[Store]:  # type: ignore[override]
        other = PostgresStore(where, BACKLOG)
        yield other
        other.close()
