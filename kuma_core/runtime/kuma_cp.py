"""``kuma-cp``: reads the configuration, loads the plugins and runs the control plane."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from kuma_core.commandline import Group, add_standard_commands
from kuma_core.commandline import run as run_program
from kuma_core.runtime.config_commands import config, file_option
from kuma_core.runtime.configuration import read_config
from kuma_core.runtime.log_options import log_options
from kuma_core.runtime.migrate_commands import migrate
from kuma_core.runtime.plugin_choice import chosen, chosen_catalog, libraries, plugins_option
from kuma_core.runtime.plugin_commands import plugins
from kuma_core.runtime.secrets_commands import secrets


@click.group("kuma-cp", cls=Group, help="The control plane of a service mesh.")
@log_options
@plugins_option
@click.pass_context
def root(ctx: click.Context, log_level: str | None, log_format: str | None, plugins: str | None) -> None:
    ctx.obj = log_level, log_format


def _of_plugins(ctx: click.Context) -> Mapping[str, click.Command]:
    """What plugins add to a group of commands; a command of kuma-cp itself imports none of it."""
    from kuma_core.plugin.commands import added

    return added(ctx, lambda: chosen(ctx.find_root().params.get("plugins"), os.environ))


root.added = _of_plugins

add_standard_commands(root)
root.add_command(config)
root.add_command(migrate)
root.add_command(plugins)
root.add_command(secrets)


@root.command(help="Run the control plane until it is interrupted.")
@file_option
@log_options
@plugins_option
@click.pass_obj
def run(
    log: tuple[str | None, str | None],
    config_file: str | None,
    log_level: str | None,
    log_format: str | None,
    plugins: str | None,
) -> None:
    level, format = log
    catalog = chosen_catalog(plugins)
    effective = read_config(catalog, config_file, os.environ)
    catalog.store(effective.text("store.type"))  # told before anything is logged or opened
    with libraries():
        from kuma_core.xds.message_classes import complete_one_at_a_time

        complete_one_at_a_time()
        from kuma_core.runtime.process import serve

    serve(effective, catalog, log_level or level, log_format or format)


def main() -> NoReturn:
    """The entry point of ``kuma-cp``."""
    run_program(root, sys.argv[1:])
