"""Where the database is and how it is connected to; every error of the driver becomes one sentence here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import sql

from kuma_core.sdk import Config, ConfigError, StoreTakesNoWrites, StoreUnavailable
from kuma_store_postgres.patience import PatientConnection
from kuma_store_postgres.problems import ERRORS, no_writes, sentence

TLS_MODES = MappingProxyType(
    {
        "disable": "disable",
        "verifyNone": "require",
        "verifyCa": "verify-ca",
        "verifyFull": "verify-full",
    }
)
"""What libpq calls the values of ``store.postgres.tls.mode``."""

LIVENESS = MappingProxyType(
    {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
)
"""How the kernel of the system finds out, without a query, that the other side is gone: within 25 seconds."""

_GRACE_SECONDS = 2.0
"""How much longer than the database itself we wait for a statement before we take the database for dead."""


@dataclass(frozen=True, slots=True)
class Database:
    """The settings under ``store.postgres``. ``files`` are those of TLS, as libpq calls them.

    ``statement_seconds`` is 0 where a statement may take as long as it takes.
    """

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    tls_mode: str
    files: Mapping[str, str]
    connection_seconds: int
    statement_seconds: float
    connections: int

    @classmethod
    def of(cls, config: Config) -> Database:
        """What the configuration says. Raises ``ConfigError`` for a file of TLS that cannot be read."""
        prefix = "store.postgres."
        return cls(
            host=config.text(prefix + "host"),
            port=config.number(prefix + "port"),
            name=config.text(prefix + "dbName"),
            user=config.text(prefix + "user"),
            password=config.text(prefix + "password"),
            tls_mode=config.text(prefix + "tls.mode"),
            files=MappingProxyType(_files(config)),
            connection_seconds=config.number(prefix + "connectionTimeout"),
            statement_seconds=config.seconds(prefix + "statementTimeout"),
            connections=config.number(prefix + "maxOpenConnections"),
        )

    def __str__(self) -> str:
        return f'the database "{self.name}" at {self.host}:{self.port}'

    def without_limits(self) -> Database:
        """The same database, with as much time for a statement as it takes."""
        return replace(self, statement_seconds=0)

    def connect(self) -> PatientConnection:
        """A new connection, each statement a transaction of its own. Raises ``psycopg.Error``.

        Nothing is prepared on it: that was no faster, and would break when the schema moves on meanwhile.
        """
        connection = self._connect()
        if self.statement_seconds:
            connection.patience = self.statement_seconds + _GRACE_SECONDS
        try:
            for name, value in self._session().items():
                connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> PatientConnection:
        try:
            return PatientConnection.connect(autocommit=True, prepare_threshold=None, **self._parameters())
        except psycopg.Error as error:
            # The driver's frames hold the socket of an attempt that timed out: without them it is closed now.
            raise error.with_traceback(None) from None

    def _parameters(self) -> Mapping[str, Any]:
        """For libpq, each by itself and never as one text: a password may have any character."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.name,
            "user": self.user,
            "password": self.password,
            "sslmode": TLS_MODES[self.tls_mode],
            "gssencmode": "disable",
            "connect_timeout": max(self.connection_seconds, 1),
            "client_encoding": "utf8",
            "application_name": "kuma-cp",
            **LIVENESS,
            **self.files,
        }

    def _session(self) -> Mapping[str, str]:
        milliseconds = round(self.statement_seconds * 1000)
        return {"default_transaction_isolation": "read committed", "statement_timeout": f"{milliseconds}ms"}

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the errors of the driver and of SQLAlchemy into ``StoreUnavailable`` or its kin."""
        try:
            yield
        except ERRORS as error:
            text, reason = sentence(error, str(self)), no_writes(error)
            raise (StoreTakesNoWrites(text, reason) if reason else StoreUnavailable(text)) from None


def _files(config: Config) -> dict[str, str]:
    """The files of TLS that are set, as libpq calls them, which ignores most of those that are not there."""
    found = {}
    for name, key in (("sslcert", "certPath"), ("sslkey", "keyPath"), ("sslrootcert", "caPath")):
        setting = f"store.postgres.tls.{key}"
        path = config.text(setting)
        if not path or config.text("store.postgres.tls.mode") == "disable":
            continue
        if not os.path.isfile(path) or not os.access(path, os.R_OK):
            raise ConfigError(f'{setting} is "{path}", and there is no file that can be read')
        found[name] = path
    return found
