"""The counter by which a control plane sees that it missed nothing: also while a write is still uncommitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from kuma_core.resources.changes import ChangeFeed
from kuma_core.sdk import Change, Op
from kuma_core.testing.stores import key
from kuma_core.testing.waiting import eventually
from kuma_store_postgres.database import Database
from kuma_store_postgres.store import PostgresStore

from .server import Server, config_of

UNTOLD = """
WITH written AS (UPDATE resources SET spec = 'late', version = nextval('resources_version') RETURNING version)
SELECT nextval('resources_told') FROM written
"""
"""A write whose notification is lost."""


@pytest.fixture
def store(server: Server, database: str) -> Iterator[PostgresStore]:
    store = PostgresStore(Database.of(config_of(server.environ(database))))
    yield store
    store.close()


@pytest.fixture
def writer(server: Server, database: str) -> Iterator[psycopg.Connection[Any]]:
    with server.connect(database) as connection:
        yield connection


def test_a_refused_write_and_one_of_a_untold_type_do_not_count(store: PostgresStore) -> None:
    store.leave_untold(["Insight"])
    record = store.create(key("a"), "{}")
    before = eventually(store.counter)
    for refused in (
        lambda: store.create(record.key, "{}"),
        lambda: store.update(record.key, "{}", "0"),
        lambda: store.delete(key("nobody")),
    ):
        with pytest.raises(Exception, match="Resource"):
            refused()
    insight = store.create(key("i", type="Insight"), "{}")
    store.update(insight.key, "[]", insight.version)
    store.delete(insight.key)
    assert eventually(store.counter) == before


def test_there_is_no_word_while_a_write_is_uncommitted(
    store: PostgresStore, writer: psycopg.Connection[Any]
) -> None:
    store.create(key("a"), "{}")
    before = eventually(store.counter)
    with writer.transaction():
        writer.execute(UNTOLD.encode())
        assert store.counter() == store.counter() == ""
    assert eventually(store.counter) > before
    with writer.transaction(force_rollback=True):
        writer.execute(UNTOLD.encode())
        assert store.counter() == ""
    assert eventually(store.counter) > before


def test_writes_to_another_database_of_the_server_do_not_matter(server: Server, store: PostgresStore) -> None:
    store.create(key("a"), "{}")
    with server.database(server.template) as name, server.connect(name) as elsewhere:
        before = eventually(store.counter)
        with elsewhere.transaction():
            elsewhere.execute(b"DELETE FROM resources")
            assert store.counter() == before


def test_a_write_that_was_open_at_one_tick_is_read_at_the_next(
    store: PostgresStore, writer: psycopg.Connection[Any]
) -> None:
    """Although it counted before the first of them, and no notification of it ever came."""
    store.create(key("a"), "early")
    seen: list[str] = []

    def read(change: Change) -> None:
        assert change == Change(Op.RESYNC)
        seen.append(store.get(key("a")).document)

    feed = ChangeFeed(store)
    feed.listen(read)
    eventually(store.counter)
    feed.make_sure()
    feed.make_sure()
    assert seen == ["early"], "at rest, nothing is read again"
    with writer.transaction():
        writer.execute(UNTOLD.encode())
        feed.make_sure()
        feed.make_sure()
        assert seen == ["early"] * 3, "the write is open: nothing can be promised"
    eventually(store.counter)
    feed.make_sure()
    feed.make_sure()
    assert seen == ["early"] * 3 + ["late"]
