"""What the store does when the database is slow, hangs, ends connections, or is not there at the start."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kuma_core.sdk import (
    Change,
    Conflict,
    NotFound,
    Op,
    Record,
    ResourceKey,
    Stop,
    Store,
    StoreTakesNoWrites,
    StoreUnavailable,
)
from kuma_core.testing.ports import free_port
from kuma_core.testing.stores import RESYNC, at_once, key, watching
from kuma_core.testing.stores import WRITERS as WRITERS_AT_ONCE
from kuma_core.testing.waiting import eventually
from kuma_store_postgres.database import Database
from kuma_store_postgres.opening import open_store
from kuma_store_postgres.store import PostgresStore

from .server import OwnServer, Server, config_of


@pytest.fixture
def where(server: Server, database: str) -> Database:
    return Database.of(config_of(server.environ(database)))


@contextmanager
def opened(where: Database) -> Iterator[PostgresStore]:
    store = PostgresStore(where)
    try:
        yield store
    finally:
        store.close()


def test_connections_that_the_database_ended_are_replaced_unseen(server: Server, where: Database) -> None:
    with opened(where) as store:
        record = store.create(key("a"), "{}")
        for number in range(5):
            assert server.terminate_clients(where.name) >= 1
            record = store.update(record.key, str(number), record.version)
        assert store.get(record.key) == record


def test_after_a_restart_no_connection_of_the_pool_fails(
    mortal_server: OwnServer, mortal_database: str
) -> None:
    where = Database.of(config_of(mortal_server.environ(mortal_database)))
    with opened(where) as store:
        record = store.create(key("a"), "{}")
        at_once(lambda _: [store.get(record.key) for _ in range(20)])
        assert len(mortal_server.clients(where.name)) > 1
        mortal_server.kill()
        mortal_server.start()
        assert at_once(lambda _: store.get(record.key)) == [record] * WRITERS_AT_ONCE


def test_a_database_that_takes_no_writes_is_still_read(server: Server, where: Database) -> None:
    with opened(where) as store:
        record = store.create(key("a"), "{}")
        with server.connect() as admin:
            admin.execute(f"ALTER DATABASE {where.name} SET default_transaction_read_only = on".encode())
        server.terminate_clients(where.name)
        assert store.get(record.key) == record
        for write in (lambda: store.create(key("b"), "{}"), lambda: store.delete(record.key)):
            with pytest.raises(StoreTakesNoWrites, match="it is read-only, as a replica is"):
                write()
        with server.connect() as admin:
            admin.execute(f"ALTER DATABASE {where.name} RESET default_transaction_read_only".encode())
        assert store.create(key("b"), "{}"), (
            "the connection that refused was replaced: sessions keep the setting"
        )


def test_connections_ended_in_the_middle_of_writes_lose_no_acknowledged_one(
    server: Server, where: Database
) -> None:
    """A write that fails so may have happened or not; one that was acknowledged has."""
    acknowledged, failures, done = 0, 0, threading.Event()

    def terminate() -> None:
        while not done.wait(0.02):
            server.terminate_clients(where.name)

    with opened(where) as store:
        thread = threading.Thread(target=terminate)
        thread.start()
        try:
            for number in range(400):
                try:
                    store.create(key(f"a{number}"), "{}")
                    acknowledged += 1
                except StoreUnavailable:
                    failures += 1
        finally:
            done.set()
            thread.join()
        found = len(store.list("Thing"))
    assert acknowledged <= found <= acknowledged + failures
    assert acknowledged + failures == 400
    assert acknowledged > 200


def test_a_watch_whose_connection_is_ended_raises_at_once(server: Server, where: Database) -> None:
    with opened(where) as store, watching(store) as watch:
        assert server.terminate_clients(where.name, "LISTEN") == 1
        watch.thread.join(timeout=5)
        assert not watch.thread.is_alive()
        assert isinstance(watch.failure, StoreUnavailable)
        assert str(watch.failure).startswith(str(where))


WRITERS = 4


@pytest.mark.parametrize(("kills", "writes"), [(3, 150), pytest.param(20, 2500, marks=pytest.mark.chaos)])
def test_no_acknowledged_write_is_lost_when_the_database_is_killed(
    mortal_server: OwnServer, mortal_database: str, kills: int, writes: int
) -> None:
    """Each writer counts its own record up and goes on through every outage; nothing is half applied."""
    where = Database.of(config_of(mortal_server.environ(mortal_database)))
    acknowledged = [0] * WRITERS

    def write(index: int) -> None:
        """A write that failed may have happened: the next one begins with what is stored."""
        with opened(where) as store:
            while acknowledged[index] < writes:
                try:
                    acknowledged[index] = _count_up(store, key(f"writer-{index}"), acknowledged[index])
                except StoreUnavailable:
                    time.sleep(0.02)

    threads = [threading.Thread(target=write, args=(index,)) for index in range(WRITERS)]
    for thread in threads:
        thread.start()
    for kill in range(1, kills + 1):
        goal = WRITERS * writes * kill // (kills + 1)
        eventually(lambda goal=goal: sum(acknowledged) >= goal, 60)  # type: ignore[misc]
        mortal_server.kill()
        mortal_server.start()
    for thread in threads:
        thread.join(timeout=300)
    with opened(where) as store:
        assert [int(record.document) for record in store.list("Thing")] == acknowledged == [writes] * WRITERS


def _count_up(store: Store, key: ResourceKey, acknowledged: int) -> int:
    """The next number, stored. What is found is never older than what was acknowledged."""
    try:
        found = store.get(key)
    except NotFound:
        assert acknowledged == 0
        return int(store.create(key, "1").document)
    assert acknowledged <= int(found.document)
    return int(store.update(key, str(int(found.document) + 1), found.version).document)


def test_two_stores_hear_of_each_other(where: Database) -> None:
    with opened(where) as one, opened(where) as two, watching(one) as first, watching(two) as second:
        begun = time.monotonic()
        one.create(key("a"), "{}")
        second.wait_for(Change(Op.PUT, key("a")))
        two.delete(key("a"))
        first.wait_for(Change(Op.DELETE, key("a")))
        assert time.monotonic() - begun < 2.0


def test_nobody_is_told_of_types_that_were_untold(where: Database) -> None:
    with opened(where) as store, watching(store) as watch:
        store.leave_untold(["Insight"])
        insight = store.create(key("i", type="Insight"), "{}")
        insight = store.update(insight.key, "[]", insight.version)
        with pytest.raises(Conflict):
            store.update(insight.key, "{}", "0")
        assert store.get(insight.key) == insight
        store.delete(insight.key)
        store.create(key("a"), "{}")
        watch.wait_for(Change(Op.PUT, key("a")))
    assert watch.changes == [RESYNC, Change(Op.PUT, key("a"))]


def test_nothing_is_asked_while_nothing_changes(server: Server, where: Database) -> None:
    """The database counts the queries of its clients; ours sleep on their sockets."""
    with opened(where) as store, watching(store) as watch, server.connect() as asking:
        store.create(key("a"), "{}")
        watch.wait_for(Change(Op.PUT, key("a")))
        query = "SELECT pid, query_start FROM pg_stat_activity WHERE datname = %s ORDER BY pid"
        before = asking.execute(query, (where.name,)).fetchall()
        watch.stop.wait(1.5)
        assert asking.execute(query, (where.name,)).fetchall() == before
        assert len(before) == 2


def test_no_thread_and_no_connection_is_left(server: Server, where: Database) -> None:
    threads = threading.active_count()
    with opened(where) as store:
        with watching(store):
            store.create(key("a"), "{}")
            assert len(server.clients(where.name)) == 2
        eventually(lambda: len(server.clients(where.name)) == 1)
    eventually(lambda: not server.clients(where.name))
    assert threading.active_count() == threads


def _locked(server: Server, where: Database) -> threading.Event:
    """Hold a lock on the table, so that every statement waits; until the event is set."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with server.connect(where.name) as connection, connection.transaction():
            connection.execute("LOCK TABLE resources")
            held.set()
            release.wait(30)

    threading.Thread(target=hold, daemon=True).start()
    assert held.wait(10)
    return release


def test_a_slow_statement_is_given_up(server: Server, where: Database) -> None:
    with opened(where) as store:
        record = store.create(key("a"), "{}")
    with opened(replace(where, statement_seconds=0.3)) as store:
        release = _locked(server, where)
        try:
            begun = time.monotonic()
            with pytest.raises(
                StoreUnavailable, match=r"took too long \(store\.postgres\.statementTimeout\)"
            ):
                store.get(key("a"))
            assert 0.2 < time.monotonic() - begun < 3
        finally:
            release.set()
        assert eventually(lambda: _tried(store)) == record


def test_a_pool_that_is_in_use_says_so(server: Server, where: Database) -> None:
    with opened(replace(where, connections=1, connection_seconds=1)) as store:
        store.create(key("a"), "{}")
        release = _locked(server, where)
        results: list[Record] = []
        thread = threading.Thread(target=lambda: results.append(store.get(key("a"))))
        try:
            thread.start()
            eventually(lambda: server.clients(where.name)[:1] and store._engine.pool.checkedout() == 1)
            with pytest.raises(StoreUnavailable, match=r"is busy: .*maxOpenConnections"):
                store.get(key("a"))
        finally:
            release.set()
            thread.join(timeout=10)
        assert [record.key for record in results] == [key("a")]


def test_a_database_that_takes_no_more_connections_says_so(server: Server, where: Database) -> None:
    with server.connect() as admin:
        admin.execute(f"ALTER DATABASE {where.name} CONNECTION LIMIT 1".encode())
        admin.execute("CREATE ROLE modest LOGIN PASSWORD 'modest'")
        admin.execute("GRANT pg_monitor TO modest")
    poor = replace(where, user="modest", password="modest")
    try:
        refused = pytest.raises(StoreUnavailable, match=r"takes no more connections; .*maxOpenConnections")
        with server.connect(where.name), opened(poor) as store, refused:
            store.list("Thing")
    finally:
        with server.connect() as admin:
            admin.execute(f"ALTER DATABASE {where.name} CONNECTION LIMIT -1".encode())
            admin.execute("DROP ROLE modest")


def test_a_server_that_hangs_does_not_hang_us(mortal_server: OwnServer, mortal_database: str) -> None:
    """It is stopped, not ended: its connections stay open and nothing ever comes."""
    where = replace(
        Database.of(config_of(mortal_server.environ(mortal_database))),
        statement_seconds=0.2,
        connection_seconds=1,
    )
    with opened(where) as store:
        record = store.create(key("a"), "{}")
        mortal_server.pause(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            for _ in range(2):  # on the connection that was there, and on a new one
                with pytest.raises(StoreUnavailable):
                    store.get(record.key)
            assert time.monotonic() - begun < 9
        finally:
            mortal_server.pause(signal.SIGCONT)
        assert eventually(lambda: _tried(store), 30) == record


def test_every_way_into_a_server_that_hangs_has_an_end(
    mortal_server: OwnServer, mortal_database: str
) -> None:
    """More callers than the pool has connections, and a watch that is attached anew."""
    where = replace(
        Database.of(config_of(mortal_server.environ(mortal_database))),
        statement_seconds=0.2,
        connection_seconds=1,
        connections=2,
    )
    with opened(where) as store:
        store.create(key("a"), "{}")
        mortal_server.pause(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            assert at_once(lambda _: _tried(store)) == [None] * WRITERS_AT_ONCE
            with pytest.raises(StoreUnavailable):
                store.watch(lambda change: None, Stop())
            assert time.monotonic() - begun < 12
        finally:
            mortal_server.pause(signal.SIGCONT)
        assert eventually(lambda: _tried(store), 30)


def test_connections_have_the_time_outs_of_the_system(where: Database) -> None:
    """For a machine that is gone: nobody is left there to say that a statement took too long."""
    with where.connect() as connection, socket.socket(fileno=os.dup(connection.fileno())) as wire:
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        found = [wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
        assert found == [10, 5, 3, 20_000]
        assert connection.execute("SHOW statement_timeout").fetchone() == ("10s",)


def _tried(store: Store) -> Record | None:
    try:
        return store.get(key("a"))
    except StoreUnavailable:
        return None


def test_a_watch_ends_at_once_while_the_server_hangs(mortal_server: OwnServer, mortal_database: str) -> None:
    where = Database.of(config_of(mortal_server.environ(mortal_database)))
    with opened(where) as store, watching(store) as watch:
        mortal_server.pause(signal.SIGSTOP)
        try:
            watch.stop.set()
            watch.thread.join(timeout=2)
            assert not watch.thread.is_alive()
        finally:
            mortal_server.pause(signal.SIGCONT)


def test_a_database_that_comes_late_is_waited_for(mortal_server: OwnServer, mortal_database: str) -> None:
    environ = mortal_server.environ(mortal_database) | {"KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT": "60"}
    mortal_server.kill()
    starter = threading.Timer(0.7, mortal_server.start)
    starter.start()
    try:
        with open_store(config_of(environ)) as store:
            assert store.list("Thing") == []
    finally:
        starter.join()


def test_a_database_that_does_not_come_is_given_up(server: Server) -> None:
    environ = server.environ("kuma") | {
        "KUMA_STORE_POSTGRES_PORT": str(free_port()),
        "KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT": "1",
    }
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught, open_store(config_of(environ)):
        pass
    assert 0.2 < time.monotonic() - begun < 4
    port = environ["KUMA_STORE_POSTGRES_PORT"]
    said = str(caught.value)
    assert said == f'the database "kuma" at {server.host}:{port} cannot be reached: Connection refused'
