"""Revision 0003 of the schema; what it does stands in ``sql/0003_told.sql``."""

from __future__ import annotations

from kuma_store_postgres.migration import run_sql_of

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Run the SQL of this revision."""
    run_sql_of(revision)
