"""Revision 0001 of the schema; what it does stands in ``sql/0001_resources.sql``."""

from __future__ import annotations

from kuma_store_postgres.migration import run_sql_of

revision, down_revision = "0001", None


def upgrade() -> None:
    """Run the SQL of this revision."""
    run_sql_of(revision)
