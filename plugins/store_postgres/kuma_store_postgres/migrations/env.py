"""What alembic runs around the revisions: one transaction on the connection that ``migration.py`` gives."""

from __future__ import annotations

from alembic import context

from kuma_store_postgres.schema import STAMP

context.configure(connection=context.config.attributes["connection"], version_table=STAMP)
with context.begin_transaction():
    context.run_migrations()
