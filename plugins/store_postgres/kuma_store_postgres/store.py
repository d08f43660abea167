"""The store: six verbs, each one statement that is a transaction of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError

from kuma_core.sdk import (
    AlreadyExists,
    Conflict,
    Op,
    Publish,
    Record,
    ResourceKey,
    Stop,
    not_found,
)
from kuma_store_postgres import statements
from kuma_store_postgres.database import Database
from kuma_store_postgres.engine import new_engine
from kuma_store_postgres.limits import as_number, can_be_stored, require_storable
from kuma_store_postgres.problems import is_read_only
from kuma_store_postgres.watch import BACKLOG, payload_of, watch


class PostgresStore:
    """Keeps records in the table ``resources``. See ``kuma_core.sdk.Store`` for what each verb does."""

    def __init__(self, database: Database, backlog: int = BACKLOG) -> None:
        self._database = database
        self._backlog = backlog
        self._engine = new_engine(database, autocommit=True)
        self._untold: frozenset[str] = frozenset()

    def close(self) -> None:
        """Close the connections of the pool."""
        self._engine.dispose()

    def leave_untold(self, types: Collection[str]) -> None:
        """Tell no watcher of writes of these types, which makes many of them at once twice as fast."""
        self._untold = frozenset(types)

    def get(self, key: ResourceKey) -> Record:
        """The record of that key."""
        rows = self._run(statements.GET, _at(key)) if can_be_stored(key) else ()
        if not rows:
            raise not_found(key)
        return Record(key, rows[0].spec, str(rows[0].version))

    def list(self, type: str, mesh: str | None = None) -> list[Record]:
        """All records of a type, sorted by mesh and name."""
        if not can_be_stored(ResourceKey(type, mesh or "", "")):
            return []
        statement = statements.LIST if mesh is None else statements.LIST_MESH
        values = {"at_type": type} if mesh is None else {"at_type": type, "at_mesh": mesh}
        rows: Iterable[Any] = self._run(statement, values)
        # by position: to read a row's columns by name takes longer than all else here
        return [
            Record(ResourceKey(type, where, name), spec, str(version)) for where, name, spec, version in rows
        ]

    def create(self, key: ResourceKey, document: str) -> Record:
        """Store a new record. Raises ``InvalidResource`` for what the columns cannot hold."""
        require_storable(key, document)
        rows = self._write(statements.CREATE, Op.PUT, key, {"spec": document})
        if not rows:
            raise AlreadyExists(f"Resource already exists: {key}")
        return Record(key, document, str(rows[0].version))

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        """Replace a record of a known version. Raises ``InvalidResource`` for what the columns cannot hold."""
        require_storable(key, document)
        values = {"new_spec": document, "at_version": as_number(version)}
        rows = self._write(statements.UPDATE, Op.PUT, key, values)
        if not rows:
            raise Conflict(f"Resource conflict: {key}")
        return Record(key, document, str(rows[0].version))

    def delete(self, key: ResourceKey) -> None:
        """Remove a record."""
        if not (can_be_stored(key) and self._write(statements.DELETE, Op.DELETE, key, {})):
            raise not_found(key)

    def delete_exactly(self, key: ResourceKey, version: str) -> None:
        """Remove a record of a known version."""
        values = {"at_version": as_number(version)}
        if can_be_stored(key) and self._write(statements.DELETE_EXACTLY, Op.DELETE, key, values):
            return
        self.get(key)  # raises where nothing is there
        raise Conflict(f"Resource conflict: {key}")

    def tell(self, key: ResourceKey) -> None:
        """Tell watchers of a write of a record whose type is left untold."""
        if can_be_stored(key):
            self._run(statements.TELL, {"payload": payload_of(Op.PUT, key)})

    def counter(self) -> str:
        """A number that grows with every write that is told; nothing while a write is under way."""
        (row,) = self._run(statements.COUNTER, {})
        return "" if row.open else str(row.told)

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish changes until ``stop`` is set. Raises ``StoreUnavailable`` if the database is lost."""
        with self._database.explained():
            watch(self._database, publish, stop, self._backlog)

    def _write(
        self, write: statements.Write, op: Op, key: ResourceKey, values: Mapping[str, Any]
    ) -> Sequence[Row[Any]]:
        if key.type in self._untold:
            return self._run(write.quiet, {**_at(key), **values})
        return self._run(write.told, {**_at(key), "payload": payload_of(op, key), **values})

    def _run(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        with self._database.explained(), self._engine.connect() as connection:
            try:
                return connection.execute(statement, values).all()
            except DBAPIError as error:
                if is_read_only(error):
                    connection.invalidate()  # the name may lead to the server by now that took over
                raise


def _at(key: ResourceKey) -> dict[str, Any]:
    return {"at_name": key.name, "at_mesh": key.mesh, "at_type": key.type}
