"""``kumactl install database-schema``: the SQL that prepares a database. Needs neither a database nor its libraries."""

from __future__ import annotations

import click

from kuma_core.sdk import KumaError
from kuma_core.sdk.kumactl import Session, pass_session
from kuma_store_postgres.schema import schema_sql


@click.command("database-schema")
@click.option("--target", default="postgres", show_default=True, metavar="TYPE", help="Kind of database.")
@pass_session
def database_schema(session: Session, target: str) -> None:
    """Print the SQL that prepares a database, to be piped into psql. Running it again changes nothing."""
    session.prepare()
    if target != "postgres":
        raise KumaError(f"unknown target type: {target}")
    click.echo(schema_sql())
