"""The statements of the store, as SQLAlchemy expressions. A write tells of itself in its own transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    Select,
    Sequence,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate
from sqlalchemy.sql.expression import update

CHANNEL = "kuma_resources"
"""Where changes are told, to all who listen on the same database."""

_NEXT = Sequence("resources_version").next_value()
_TOLD = Sequence("resources_told").next_value()

resources = Table(
    "resources",
    MetaData(),
    Column("name", String),
    Column("namespace", String),
    Column("mesh", String),
    Column("type", String),
    Column("version", BigInteger),
    Column("spec", String),
)
"""What ``kuma_store_postgres/sql`` makes; ``namespace`` is always empty."""

_r = resources.c
_AT_KEY = and_(
    _r.name == bindparam("at_name"),
    _r.namespace == "",
    _r.mesh == bindparam("at_mesh"),
    _r.type == bindparam("at_type"),
)


@dataclass(frozen=True, slots=True)
class Write:
    """A write that gives the version of what it wrote, or no row: ``told`` to whoever listens, or ``quiet``."""

    told: Select[Any]
    quiet: Select[Any]


def _write(write: ReturningInsert[Any] | ReturningUpdate[Any] | ReturningDelete[Any]) -> Write:
    written = write.cte("written")
    quiet = select(written.c.version)
    payload = func.concat(bindparam("payload", type_=String), " ", written.c.version)
    return Write(quiet.add_columns(func.pg_notify(CHANNEL, payload), _TOLD), quiet)


GET = select(_r.spec, _r.version).where(_AT_KEY)

LIST = (
    select(_r.mesh, _r.name, _r.spec, _r.version)
    .where(_r.type == bindparam("at_type"), _r.namespace == "")
    .order_by(_r.mesh, _r.name)
)

LIST_MESH = LIST.where(_r.mesh == bindparam("at_mesh"))

CREATE = _write(
    insert(resources)
    .values(
        name=bindparam("at_name"),
        namespace="",
        mesh=bindparam("at_mesh"),
        type=bindparam("at_type"),
        version=_NEXT,
        spec=bindparam("spec"),
    )
    .on_conflict_do_nothing(index_elements=[_r.name, _r.namespace, _r.mesh, _r.type])
    .returning(_r.version)
)

UPDATE = _write(
    update(resources)
    .where(_AT_KEY, _r.version == bindparam("at_version"))
    .values(spec=bindparam("new_spec"), version=_NEXT)
    .returning(_r.version)
)

DELETE = _write(delete(resources).where(_AT_KEY).returning(_r.version))

DELETE_EXACTLY = _write(
    delete(resources).where(_AT_KEY, _r.version == bindparam("at_version")).returning(_r.version)
)

TELL = select(func.pg_notify(CHANNEL, bindparam("payload")))

COUNTER = text(
    "SELECT told.last_value + told.is_called::int AS told, writing.transactions AS open"
    " FROM resources_told AS told, LATERAL (SELECT count(*) AS transactions FROM pg_locks"
    " WHERE relation = 'resources'::regclass AND mode = 'RowExclusiveLock' AND told.last_value > 0"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ") AS writing"
)
"""A number that grows with every write that is told, and how many transactions were open just after it was read.

A write counts before its commit, when nobody sees it yet. But from before it counts until after its commit it
holds a lock on the table, and the condition on ``told.last_value`` has the locks looked at second: if there is
none, all that was counted can be seen (or was rolled back).
"""
