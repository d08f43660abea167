"""The store keeps the contract of every store, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from kuma_core.sdk import Store
from kuma_core.testing.stores import StoreSuite
from kuma_store_postgres.database import Database
from kuma_store_postgres.store import PostgresStore

from .server import OwnServer, Server, config_of

BACKLOG = 300


class TestPostgresStore(StoreSuite):
    BACKLOG = BACKLOG
    UPDATES = 150

    @pytest.fixture
    def running(self, request: pytest.FixtureRequest) -> Server:
        """The server that stays up, or for a test of outages the one that does not."""
        mortal = "outage" in request.fixturenames
        found: Server = request.getfixturevalue("mortal_server" if mortal else "server")
        return found

    @pytest.fixture
    def where(self, running: Server) -> Iterator[Database]:
        with running.database(running.template) as name:
            yield Database.of(config_of(running.environ(name)))

    @pytest.fixture
    def outage(self, running: OwnServer) -> Callable[[], AbstractContextManager[None]]:
        """A kill -9 of the whole server."""

        @contextmanager
        def lost() -> Iterator[None]:
            running.kill()
            try:
                yield
            finally:
                running.start()

        return lost

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

    @pytest.mark.chaos
    def test_eight_writers_of_a_thousand_updates_each_lose_none(self, store: Store, other: Store) -> None:
        self.UPDATES = 1000
        self.test_compare_and_set_loses_no_update(store, other)
