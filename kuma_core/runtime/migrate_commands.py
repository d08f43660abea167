"""``kuma-cp migrate``: the schema of the chosen store's backend, without starting anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from kuma_core.commandline import Group
from kuma_core.errors import ConfigError
from kuma_core.runtime.config_commands import file_option
from kuma_core.runtime.plugin_choice import chosen_catalog, plugins_option

if TYPE_CHECKING:
    from kuma_core.config import Config
    from kuma_core.resources.contract import Migrations


@click.group("migrate", cls=Group, help="Prepare the database of the store and bring it up to date.")
def migrate() -> None:
    """The group; its commands are below."""


@migrate.command("up", help="Bring the schema of the database up to date. Doing it again changes nothing.")
@file_option
@plugins_option
def up(config_file: str | None, plugins: str | None) -> None:
    migrations, config = _chosen(config_file, plugins)
    done = migrations.up(config)
    for revision in done:
        click.echo(f"migrated to revision {revision}")
    if not done:
        click.echo("the schema is up to date already")


@migrate.command("status", help="Tell how far the schema of the database is; exit code 1 if it is behind.")
@file_option
@plugins_option
@click.pass_context
def status(ctx: click.Context, config_file: str | None, plugins: str | None) -> None:
    migrations, config = _chosen(config_file, plugins)
    found = migrations.status(config)
    if not found.pending:
        click.echo(f"revision {found.current}: the schema is up to date")
        return
    begin = f"revision {found.current}" if found.current else "no revision yet"
    click.echo(f"{begin}; pending: {', '.join(found.pending)}; run `kuma-cp migrate up`")
    ctx.exit(1)


@migrate.command("sql", help="Print the whole schema as SQL, for those who run it themselves.")
@file_option
@plugins_option
def sql(config_file: str | None, plugins: str | None) -> None:
    click.echo(_chosen(config_file, plugins)[0].sql())


def _chosen(config_file: str | None, plugins: str | None) -> tuple[Migrations, Config]:
    """The migrations of the store that the configuration chooses; raises ``ConfigError`` if it has none."""
    from kuma_core.runtime.configuration import read_config

    catalog = chosen_catalog(plugins)
    config = read_config(catalog, config_file, os.environ)
    factory = catalog.store(config.text("store.type"))
    if factory.migrations is None:
        raise ConfigError(
            f'the store "{factory.name}" has no schema to migrate; choose another by store.type (KUMA_STORE_TYPE)'
        )
    return factory.migrations, config
