"""The schema: made, taken over from 0.3.1, printed, and asked for at the start."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

import kuma_store_postgres
from kuma_core.runtime.kuma_cp import root
from kuma_core.sdk import Config, ConfigError, ResourceKey, SchemaStatus, StoreUnavailable
from kuma_store_postgres.migration import migrate_up, migration_status
from kuma_store_postgres.opening import open_store
from kuma_store_postgres.schema import head, revisions, schema_sql

from .server import Server, config_of, psql

TABLE_OF_0_3_1 = """\
CREATE TABLE IF NOT EXISTS resources (
    name      varchar(100) NOT NULL,
    namespace varchar(100) NOT NULL,
    mesh      varchar(100) NOT NULL,
    type      varchar(100) NOT NULL,
    version   integer      NOT NULL,
    spec      text,
    PRIMARY KEY (name, namespace, mesh, type)
);"""

ROWS = [
    ("orchard", "", "orchard", "Mesh", 1, '{"mtls":{"ca":{"builtin":{}}}}'),
    ("builtinca.orchard", "", "orchard", "Secret", 0, '"eyJyb290cyI6Li4u"'),
    ("apple-1", "", "orchard", "Dataplane", 7, '{"networking":{}}'),
]
"""What a control plane of 0.3.1 leaves in its table: a mesh, its root and a dataplane."""

SHAPE = """
SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length, is_nullable,
       column_default, collation_name
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 3
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    with server.database() as name:
        yield name


@pytest.fixture
def config(server: Server, empty: str) -> Config:
    return config_of(server.environ(empty))


def run_psql(server: Server, database: str, sql: str) -> str:
    command = [psql(), "-h", server.host, "-p", str(server.port), "-U", server.user, "-d", database]
    done = subprocess.run(
        [*command, "-v", "ON_ERROR_STOP=1", "--quiet", "--no-psqlrc"],
        input=sql,
        env={"PGPASSWORD": server.password},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def shape(server: Server, database: str) -> list[Any]:
    with server.connect(database) as connection:
        stamp = connection.execute("SELECT version_num FROM kuma_schema").fetchall()
        return [*connection.execute(SHAPE).fetchall(), *connection.execute(INDEXES).fetchall(), *stamp]


def test_an_empty_database_is_brought_up_to_date_once(config: Config) -> None:
    every = tuple(revisions())
    assert migration_status(config) == SchemaStatus("", head(), every)
    assert migrate_up(config) == every
    assert migration_status(config) == SchemaStatus(head(), head(), ())
    assert migrate_up(config) == ()
    with open_store(config) as store:
        assert store.list("Mesh") == []


def test_the_table_of_0_3_1_is_taken_over_without_loss(server: Server, empty: str, config: Config) -> None:
    run_psql(server, empty, TABLE_OF_0_3_1)
    with server.connect(empty) as connection:
        connection.cursor().executemany("INSERT INTO resources VALUES (%s, %s, %s, %s, %s, %s)", ROWS)
    with pytest.raises(ConfigError, match=r"holds the table of Kuma 0\.3\.1.*kuma-cp migrate up"):
        open_store(config).__enter__()
    migrate_up(config)
    with server.connect(empty) as connection:
        assert sorted(connection.execute("SELECT * FROM resources").fetchall()) == sorted(ROWS)
    with open_store(config) as store:
        for name, _, mesh, type, version, spec in ROWS:
            record = store.get(ResourceKey(type, mesh, name))
            assert (record.document, record.version) == (spec, str(version))
            updated = store.update(record.key, "{}", record.version)
            assert int(updated.version) > 7
            store.delete(record.key)
            assert int(store.create(record.key, "{}").version) > int(updated.version)


def test_the_printed_schema_needs_no_migration(server: Server, empty: str, config: Config) -> None:
    for _ in range(2):
        assert run_psql(server, empty, schema_sql()) == ""
        assert migration_status(config) == SchemaStatus(head(), head(), ())
    with open_store(config) as store:
        record = store.create(ResourceKey("Mesh", "a", "a"), "{}")
    run_psql(server, empty, schema_sql())
    with open_store(config) as store:
        assert store.get(record.key) == record
        assert store.update(record.key, "{}", record.version).version != record.version


def test_the_printed_schema_is_that_of_the_migrations(server: Server, empty: str, config: Config) -> None:
    migrate_up(config)
    with server.database() as printed:
        run_psql(server, printed, schema_sql())
        assert shape(server, printed) == shape(server, empty)


def test_the_printed_schema_takes_a_table_of_0_3_1_over_too(
    server: Server, empty: str, config: Config
) -> None:
    run_psql(server, empty, TABLE_OF_0_3_1 + "INSERT INTO resources VALUES ('a', '', 'a', 'Mesh', 9, NULL);")
    run_psql(server, empty, schema_sql())
    with open_store(config) as store:
        record = store.get(ResourceKey("Mesh", "a", "a"))
        assert (record.document, record.version) == ("{}", "9")
        assert int(store.update(record.key, "{}", "9").version) > 9


def test_many_migrations_at_once_are_one(config: Config) -> None:
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(migrate_up(config))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(map(str, results)) == sorted(map(str, [tuple(revisions()), (), (), ()]))


def test_a_migration_that_fails_changes_nothing(server: Server, empty: str, config: Config) -> None:
    run_psql(server, empty, "CREATE TABLE resources (name text);")
    with pytest.raises(StoreUnavailable, match='column "namespace"'):
        migrate_up(config)
    assert migration_status(config).current == ""


def test_a_start_says_what_to_run(server: Server, empty: str, config: Config) -> None:
    where = f'the database "{empty}" at {server.host}:{server.port}'
    end = ": run `kuma-cp migrate up` with the same configuration, then start again"
    with pytest.raises(ConfigError) as caught:
        open_store(config).__enter__()
    assert str(caught.value) == f"{where} holds no tables of Kuma yet{end}"
    migrate_up(config)
    with server.connect(empty) as connection:
        connection.execute("UPDATE kuma_schema SET version_num = '0001'")
    with pytest.raises(ConfigError) as caught:
        open_store(config).__enter__()
    found = f"is at revision 0001 of its schema, and revision {head()} is needed"
    assert str(caught.value) == f"{where} {found}{end}"
    assert migrate_up(config) == tuple(revisions())[1:]
    with server.connect(empty) as connection:
        connection.execute("UPDATE kuma_schema SET version_num = '9999'")
    for attempt in (lambda: open_store(config).__enter__(), lambda: migrate_up(config)):
        with pytest.raises(ConfigError, match=r"revision 9999, and this version .* knows none after"):
            attempt()


def test_a_database_without_unicode_is_refused(server: Server) -> None:
    name = "kuma_latin"
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(f"CREATE DATABASE {name} {options}".encode())
    try:
        with pytest.raises(ConfigError, match="has the encoding LATIN1; create it with the encoding UTF8"):
            migrate_up(config_of(server.environ(name)))
    finally:
        with server.connect() as connection:
            connection.execute(f"DROP DATABASE {name}".encode())


def test_the_commands(server: Server, empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environ(empty).items():
        monkeypatch.setenv(name, value)

    def kuma_cp(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(root, ["migrate", *words, "--plugins", "store_postgres"])
        return done.exit_code, done.output

    assert kuma_cp("status") == (1, "no revision yet; pending: 0001, 0002, 0003; run `kuma-cp migrate up`\n")
    assert kuma_cp("up") == (
        0,
        "migrated to revision 0001\nmigrated to revision 0002\nmigrated to revision 0003\n",
    )
    assert kuma_cp("up") == (0, "the schema is up to date already\n")
    assert kuma_cp("status") == (0, "revision 0003: the schema is up to date\n")
    assert kuma_cp("sql") == (0, schema_sql() + "\n")


def test_a_store_without_a_schema_says_so() -> None:
    done = CliRunner().invoke(root, ["migrate", "status", "--plugins", "store_memory"])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith('the store "memory" has no schema to migrate')


def test_the_factory_brings_the_migrations() -> None:
    (factory,) = kuma_store_postgres.kuma_register_stores()
    assert factory.name == "postgres"
    assert factory.migrations is not None
    assert factory.migrations.sql() == schema_sql()
    assert not schema_sql().endswith("\n")
