"""``kumactl install``: what other systems need for a control plane (specification of the command line, 8)."""

from __future__ import annotations

from importlib.metadata import entry_points

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.session import Session, pass_session

POSTGRES = """\
-- One row for each resource; the order of the columns matters.
CREATE TABLE IF NOT EXISTS resources (
    name      varchar(100) NOT NULL,
    namespace varchar(100) NOT NULL,
    mesh      varchar(100) NOT NULL,
    type      varchar(100) NOT NULL,
    version   integer      NOT NULL,
    spec      text,
    PRIMARY KEY (name, namespace, mesh, type)
);"""
"""The table of 0.3.1 (API specification, 6.4); a control plane's ``migrate`` takes it from there."""

SCHEMAS = "kuma.database_schemas"
"""Entry points of stores: the name is the target, and the value, called, gives SQL."""


@click.group("install", cls=Group, short_help="Print what other systems need for a control plane.")
def install() -> None:
    """Print what other systems need for a control plane."""


@install.command("database-schema", short_help="Print the SQL that prepares a database.")
@click.option("--target", default="postgres", show_default=True, metavar="TYPE", help="Kind of database.")
@pass_session
def database_schema(session: Session, target: str) -> None:
    """Print the SQL that prepares a database, to be piped into psql. Running it again changes nothing."""
    session.prepare()
    click.echo(_schema(target).removesuffix("\n"))


def _schema(target: str) -> str:
    """From the store that is installed; without one there is the table of old."""
    for entry in entry_points(group=SCHEMAS, name=target):
        try:
            return str(entry.load()())
        except ImportError as error:
            raise KumaError(f"the schema of {entry.value} cannot be loaded: {error}") from None
    if target != "postgres":
        raise KumaError(f"unknown target type: {target}")
    return POSTGRES
