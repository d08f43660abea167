"""Who connects, how, and what is said when it may not be: passwords, names, limits and TLS."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog

import kuma_store_postgres
from kuma_core.config import build_config
from kuma_core.sdk import Config, ConfigError, InvalidResource, KumaError, NotFound, ResourceKey
from kuma_core.testing.platform import make_catalog
from kuma_store_postgres import opening
from kuma_store_postgres.database import TLS_MODES, Database
from kuma_store_postgres.opening import open_store
from kuma_store_postgres.store import PostgresStore
from kuma_store_postgres.watch import change_of, payload_of

from .server import Server, config_of
from .tls import Pair, tls_front

SECRET = "p'a\"s\\s w=o%r:d@/?ü"


@pytest.fixture
def environ(server: Server, database: str) -> dict[str, str]:
    return server.environ(database) | {"KUMA_STORE_POSTGRES_CONNECTION_TIMEOUT": "2"}


def opens(environ: dict[str, str]) -> bool:
    with open_store(config_of(environ)) as store:
        return store.list("Mesh") == []


def refused(environ: dict[str, str]) -> str:
    """What is said when the store is opened; never the password."""
    with pytest.raises(ConfigError) as caught:
        opens(environ)
    assert environ["KUMA_STORE_POSTGRES_PASSWORD"] not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("password", [SECRET, " ", "''", "\\", "a b", "x sslmode=verify-full"])
def test_a_password_may_have_any_character(server: Server, environ: dict[str, str], password: str) -> None:
    quoted = password.replace("'", "''")
    with server.connect(environ["KUMA_STORE_POSTGRES_DB_NAME"]) as connection:
        connection.execute('DROP ROLE IF EXISTS "it\'s me"')
        connection.execute(f"CREATE ROLE \"it's me\" LOGIN SUPERUSER PASSWORD '{quoted}'".encode())
    try:
        environ |= {"KUMA_STORE_POSTGRES_USER": "it's me", "KUMA_STORE_POSTGRES_PASSWORD": password}
        assert opens(environ)
        said = refused(environ | {"KUMA_STORE_POSTGRES_PASSWORD": password + "Wr0ng"})
        assert "cannot be used: user or password is wrong (store.postgres.user and .password)" in said
    finally:
        with server.connect() as connection:
            connection.execute('DROP ROLE "it\'s me"')


def test_a_database_that_is_not_there(environ: dict[str, str]) -> None:
    said = refused(environ | {"KUMA_STORE_POSTGRES_DB_NAME": "nowhere"})
    assert said.startswith('the database "nowhere" at ')
    assert "there is no database of that name (store.postgres.dbName); create it first" in said


def test_a_user_without_rights_is_told_so(server: Server, environ: dict[str, str]) -> None:
    with server.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS poor")
        connection.execute("CREATE ROLE poor LOGIN PASSWORD 'poor-man'")
    try:
        environ |= {"KUMA_STORE_POSTGRES_USER": "poor", "KUMA_STORE_POSTGRES_PASSWORD": "poor-man"}
        with pytest.raises(KumaError, match=r"its user may not do this; give it the rights"):
            opens(environ)
    finally:
        with server.connect() as connection:
            connection.execute("DROP ROLE poor")


def test_the_password_is_in_no_description(environ: dict[str, str]) -> None:
    environ["KUMA_STORE_POSTGRES_PASSWORD"] = SECRET
    database = Database.of(config_of(environ))
    store = PostgresStore(database)
    assert SECRET not in repr(database) + str(database) + repr(store._engine) + str(store._engine.url)
    store.close()


# -- TLS


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path, "server")


@pytest.fixture
def encrypted(server: Server, environ: dict[str, str], pair: Pair) -> Iterator[dict[str, str]]:
    with tls_front(server, pair) as port:
        front = {"KUMA_STORE_POSTGRES_PORT": str(port), "KUMA_STORE_POSTGRES_HOST": "localhost"}
        yield environ | front | {"PLAIN_PORT": str(server.port)}


def tls(mode: str, ca: Path | str = "", client: Pair | None = None) -> dict[str, str]:
    found = {"KUMA_STORE_POSTGRES_TLS_MODE": mode, "KUMA_STORE_POSTGRES_TLS_CA_PATH": str(ca)}
    if client:
        found["KUMA_STORE_POSTGRES_TLS_CERT_PATH"] = str(client.cert)
        found["KUMA_STORE_POSTGRES_TLS_KEY_PATH"] = str(client.key)
    return found


@pytest.mark.parametrize("mode", ["verifyNone", "verifyCa", "verifyFull"])
def test_tls_that_the_database_does_not_offer(environ: dict[str, str], pair: Pair, mode: str) -> None:
    said = refused(environ | tls(mode, pair.cert))
    assert "it offers no TLS; look at store.postgres.tls.mode" in said


@pytest.mark.parametrize("mode", ["verifyNone", "verifyCa", "verifyFull"])
def test_tls_with_the_right_authority(encrypted: dict[str, str], pair: Pair, mode: str) -> None:
    assert opens(encrypted | tls(mode, pair.cert))


def test_tls_without_an_authority(encrypted: dict[str, str]) -> None:
    assert opens(encrypted | tls("verifyNone"))


@pytest.mark.parametrize("mode", ["verifyNone", "verifyCa", "verifyFull"])
def test_tls_with_another_authority(encrypted: dict[str, str], tmp_path: Path, mode: str) -> None:
    """With ``caPath`` it counts for verifyNone too."""
    said = refused(encrypted | tls(mode, Pair(tmp_path, "other").cert))
    assert "its certificate is not from the authority in store.postgres.tls.caPath" in said


def test_tls_with_another_host_name(encrypted: dict[str, str], pair: Pair) -> None:
    """Only verifyFull looks at it."""
    encrypted["KUMA_STORE_POSTGRES_HOST"] = "127.0.0.1"
    assert opens(encrypted | tls("verifyCa", pair.cert))
    said = refused(encrypted | tls("verifyFull", pair.cert))
    assert "its certificate is for another host than store.postgres.host" in said


def test_tls_with_files_that_cannot_be_used(encrypted: dict[str, str], pair: Pair, tmp_path: Path) -> None:
    client = Pair(tmp_path, "client", is_client=True)
    client.key.chmod(0o644)
    assert "store.postgres.tls.keyPath cannot be used" in refused(
        encrypted | tls("verifyCa", pair.cert, client)
    )
    client.key.chmod(0o600)
    client.key.write_text("no key")
    assert "cannot be used: " in refused(encrypted | tls("verifyCa", pair.cert, client))


@pytest.mark.parametrize("key", ["caPath", "certPath", "keyPath"])
def test_tls_with_a_file_that_is_not_there(
    encrypted: dict[str, str], pair: Pair, tmp_path: Path, key: str
) -> None:
    """Without our look libpq would go on, unverified or without a certificate."""
    environ = encrypted | tls("verifyNone", pair.cert, Pair(tmp_path, "client", is_client=True))
    environ[f"KUMA_STORE_POSTGRES_TLS_{key.removesuffix('Path').upper()}_PATH"] = "/none.pem"
    said = f'store.postgres.tls.{key} is "/none.pem", and there is no file that can be read'
    assert refused(environ) == said
    assert opens(environ | {"KUMA_STORE_POSTGRES_PORT": environ["PLAIN_PORT"]} | tls("disable", "/none.pem"))


def test_tls_with_a_certificate_of_the_client(
    server: Server, environ: dict[str, str], pair: Pair, tmp_path: Path
) -> None:
    client = Pair(tmp_path, "client", is_client=True)
    with tls_front(server, pair, client) as port:
        environ |= {"KUMA_STORE_POSTGRES_PORT": str(port), "KUMA_STORE_POSTGRES_HOST": "localhost"}
        assert opens(environ | tls("verifyFull", pair.cert, client))
        with pytest.raises(KumaError):
            opens(environ | tls("verifyFull", pair.cert))


def test_every_mode_of_the_kernel_has_a_word_of_libpq(pair: Pair) -> None:
    for mode, word in TLS_MODES.items():
        environ = tls(mode, pair.cert) | {"KUMA_STORE_TYPE": "postgres"}
        assert Database.of(config_of(environ))._parameters()["sslmode"] == word
    with pytest.raises(ConfigError, match=f"use {', '.join(TLS_MODES)}"):
        config_of({"KUMA_STORE_TYPE": "postgres", "KUMA_STORE_POSTGRES_TLS_MODE": "maybe"})


# -- what the columns hold


@pytest.mark.parametrize(
    ("key", "field", "said"),
    [
        (
            ResourceKey("Mesh", "m", "n" * 301),
            "name",
            "may have at most 300 characters in this store, has 301",
        ),
        (
            ResourceKey("Mesh", "m" * 300, "n"),
            "mesh",
            "may have at most 253 characters in this store, has 300",
        ),
        (ResourceKey("T" * 101, "m", "n"), "type", "may have at most 100 characters in this store, has 101"),
        (ResourceKey("Mesh", "m", "n\0"), "name", "may not hold the character NUL"),
        (
            ResourceKey("Mesh", "m", "n\ud800"),
            "name",
            "is not Unicode: character 1 is half of a surrogate pair",
        ),
    ],
)
def test_a_key_that_does_not_fit(environ: dict[str, str], key: ResourceKey, field: str, said: str) -> None:
    with open_store(config_of(environ)) as store:
        for write in (lambda: store.create(key, "{}"), lambda: store.update(key, "{}", "1")):
            with pytest.raises(InvalidResource) as caught:
                write()
            assert [(found.field, found.message) for found in caught.value.violations] == [(field, said)]
        for verb in (store.get, store.delete):
            with pytest.raises(NotFound):
                verb(key)
        assert store.list(key.type, key.mesh) == []


def test_the_longest_key_fits_and_is_told(environ: dict[str, str]) -> None:
    key = ResourceKey("🚀" * 100, "🚀" * 253, "🚀" * 300)
    with open_store(config_of(environ)) as store:
        assert store.get(store.create(key, "{}").key).document == "{}"
        assert store.list(key.type, key.mesh)[0].key == key
    for op in ("put", "delete"):
        payload = payload_of(change_of(f'["{op}","a","b","c"]').op, key)
        assert len(payload.encode()) < 8000
        assert change_of(payload).key == key


def test_a_document_that_does_not_fit(environ: dict[str, str]) -> None:
    with open_store(config_of(environ)) as store, pytest.raises(InvalidResource, match="NUL"):
        store.create(ResourceKey("Mesh", "m", "m"), "\0")


@pytest.mark.parametrize("payload", ["", "[]", "{}", "null", '["put"]', '["eat","a","b","c"]', "[1,2,3,4]"])
def test_what_others_tell_on_our_channel_may_mean_anything(payload: str) -> None:
    assert change_of(payload).key is None


# -- settings


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "KUMA_STORE_POSTGRES_MAX_OPEN_CONNECTIONS",
            "0",
            "MaxOpenConnections must be positive, from 1 to 1000",
        ),
        ("KUMA_STORE_POSTGRES_MAX_OPEN_CONNECTIONS", "1001", "MaxOpenConnections must be from 1 to 1000"),
        ("KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT", "2h", "StatementTimeout must be from 1ms to 1h"),
        (
            "KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT",
            "-1s",
            "StatementTimeout must be at least 1ms, from 1ms to 1h",
        ),
        (
            "KUMA_STORE_POSTGRES_STATEMENT_TIMEOUT",
            "0s",
            "StatementTimeout must be at least 1ms, from 1ms to 1h",
        ),
    ],
)
def test_settings_of_our_own(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"Postgres validation failed: {said} (store.postgres.")):
        config_of({"KUMA_STORE_TYPE": "postgres", variable: value})
    assert isinstance(config_of({variable: value}), Config)  # not checked where the store is not chosen


def test_the_pool_has_the_size_that_is_set(environ: dict[str, str]) -> None:
    environ["KUMA_STORE_POSTGRES_MAX_OPEN_CONNECTIONS"] = "3"
    with open_store(config_of(environ)) as store:
        assert store._engine.pool.size() == 3  # type: ignore[attr-defined]


def test_the_settings_can_come_from_a_file() -> None:
    document = {
        "store": {"type": "postgres", "postgres": {"maxOpenConnections": 7, "statementTimeout": "1m"}}
    }
    config = build_config(make_catalog([kuma_store_postgres]).settings, document, "file", {})
    database = Database.of(config)
    assert (database.connections, database.statement_seconds) == (7, 60.0)


@pytest.mark.parametrize(("seconds", "said"), [(-7200, "ahead"), (7200, "behind"), (30, "")])
def test_a_database_with_another_time_is_warned_of(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, seconds: float, said: str
) -> None:
    """The database's clock is right, ours is not."""
    shifted = SimpleNamespace(time=lambda: time.time() + seconds, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(opening, "time", shifted)
    with structlog.testing.capture_logs() as logs:
        assert opens(environ)
    told = [entry for entry in logs if "differs from ours" in entry["event"]]
    assert len(told) == bool(said)
    assert all(entry["clock"].endswith(said) and "the database" in entry["event"] for entry in told)
