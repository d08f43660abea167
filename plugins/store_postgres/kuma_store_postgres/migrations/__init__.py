"""Where alembic finds the revisions; each runs its file of ``kuma_store_postgres/sql``."""
