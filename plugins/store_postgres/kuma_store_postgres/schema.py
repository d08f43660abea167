"""The schema as files of SQL, one for each revision, oldest first. Needs neither a database nor its libraries.

Every file may be run again without harm, so the text of all of them prepares an empty database, takes over a
table of Kuma 0.3.1, and changes nothing where it was run before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

STAMP = "kuma_schema"
"""The table that holds the revision of the schema, in its only row."""


@cache
def revisions() -> Mapping[str, str]:
    """The SQL of each revision, by its number, oldest first."""
    folder = files(__package__) / "sql"
    found = sorted((item.name, item.read_text(encoding="utf-8")) for item in folder.iterdir())
    return MappingProxyType({name.split("_")[0]: sql for name, sql in found if name.endswith(".sql")})


def head() -> str:
    """The revision that this version of the store works with."""
    return list(revisions())[-1]


def schema_sql() -> str:
    """The whole schema with its revision, to be piped into ``psql``; it has no newline at its end.

    A database that is at an older revision keeps that stamp, and ``kuma-cp migrate up`` goes on from there.
    """
    return "\n".join(
        (
            "BEGIN;",
            "SET LOCAL client_min_messages = warning;",
            *(sql.rstrip() for sql in revisions().values()),
            "-- The revision of the schema.",
            f"CREATE TABLE IF NOT EXISTS {STAMP} (",
            f"    version_num varchar(32) NOT NULL CONSTRAINT {STAMP}_pkc PRIMARY KEY",
            ");",
            f"INSERT INTO {STAMP} SELECT '{head()}' WHERE NOT EXISTS (SELECT FROM {STAMP});",
            "COMMIT;",
        )
    )
