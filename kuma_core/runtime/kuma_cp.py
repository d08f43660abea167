"""``kuma-cp``: reads the configuration, loads the plugins and runs the control plane."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kuma_core.commandline import Group, add_standard_commands, log_level_option
from kuma_core.commandline import run as run_program
from kuma_core.errors import ConfigError, KumaError, PluginError
from kuma_core.plugin.loader import Plugin, State, discover, load, parse_selection, refuse_unusable

if TYPE_CHECKING:
    from kuma_core.config import Config
    from kuma_core.plugin.catalog import Catalog

MAX_CONFIG_BYTES = 1024 * 1024
PLUGINS_ENV = "KUMA_PLUGINS"

_plugins_option = click.option(
    "--plugins",
    metavar="NAMES",
    help=f"Load only these plugins (a,b), all but one (no:x) or none (''). Default: {PLUGINS_ENV}, "
    "else all that are installed.",
)


@click.group(cls=Group, help="The control plane of a service mesh.")
@log_level_option("info")
@click.pass_context
def root(ctx: click.Context, log_level: str) -> None:
    ctx.obj = log_level


add_standard_commands(root)


@root.command(help="Run the control plane until it is interrupted.")
@click.option("--config-file", "-c", metavar="PATH", help="Configuration file, YAML.")
@_plugins_option
@click.pass_obj
def run(log_level: str, config_file: str | None, plugins: str | None) -> None:
    catalog = load_catalog(_chosen(plugins, os.environ))
    config = read_config(catalog, config_file, os.environ)
    catalog.store(config.text("store.type"))  # told before anything is logged or opened
    from kuma_core.runtime.process import serve

    serve(config, catalog, log_level)


@root.command("plugins", help="List the installed plugins and what each brings.")
@_plugins_option
@click.option("--output", "-o", type=click.Choice(["table", "json"]), default="table", help="Output format.")
def list_plugins(plugins: str | None, output: str) -> None:
    rows = describe(_chosen(plugins, os.environ))
    click.echo(json.dumps({"plugins": rows}, indent=2) if output == "json" else _table(rows))


def _chosen(flag: str | None, environ: Mapping[str, str]) -> list[Plugin]:
    """The plugins that the flag, else the environment selects. Empty text is said too: it means none."""
    variable = environ.get(PLUGINS_ENV)
    if flag is not None and variable not in (None, flag):
        click.echo(f'Warning: --plugins "{flag}" is used, not {PLUGINS_ENV} "{variable}"', err=True)
    return load(discover(), parse_selection(variable if flag is None else flag))


def load_catalog(plugins: list[Plugin]) -> Catalog:
    """The catalog of usable plugins; raises ``PluginError`` for the first one that is not."""
    from kuma_core import builtin
    from kuma_core.plugin.catalog import build_catalog

    refuse_unusable(plugins)
    return build_catalog(builtin, plugins)


def read_config(catalog: Catalog, path: str | None, environ: Mapping[str, str]) -> Config:
    """The effective configuration of a file and an environment; raises ``ConfigError``."""
    from kuma_core.builtin.autoconfiguration import autoconfigured
    from kuma_core.config import build_config

    document = _read_file(path) if path else {}
    return autoconfigured(build_config(catalog.settings, document, path or "the file", environ))


def _read_file(path: str) -> Mapping[str, Any]:
    from kuma_core.documents import load_documents

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f'Failed to access configuration file "{path}": {reason}') from None
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(f'Failed to read configuration from file "{path}": it has more than 1 MiB')
    try:
        documents = load_documents(text, path)
    except KumaError as error:
        raise ConfigError(f'Failed to parse configuration from file "{path}": {error}') from None
    document = documents[0] if documents else {}
    if len(documents) > 1 or not isinstance(document, dict):
        raise ConfigError(f'Failed to parse configuration from file "{path}": expected one YAML mapping')
    return document


def describe(plugins: list[Plugin]) -> list[dict[str, Any]]:
    """What ``kuma-cp plugins`` shows of each plugin. One that breaks when it is asked is shown as broken."""
    from kuma_core import builtin
    from kuma_core.plugin.catalog import build_catalog

    rows: list[dict[str, Any]] = []
    for plugin in plugins:
        state, problem = plugin.state, plugin.problem
        provides: tuple[str, ...] = ()
        if state is State.LOADED:
            try:
                provides = build_catalog(builtin, [plugin]).provides[plugin.name]
            except PluginError as error:
                state, problem = State.BROKEN, str(error)
        rows.append(
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "state": state.value,
                "provides": list(provides),
                "problem": problem,
            }
        )
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    header = ("NAME", "DISTRIBUTION", "VERSION", "STATE", "PROVIDES")
    cells = [header] + [
        (
            row["name"],
            row["distribution"],
            row["version"],
            row["state"],
            row["problem"] or ", ".join(row["provides"]),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) + 3 for column in range(len(header) - 1)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[-1]
        for line in cells
    )


def main() -> NoReturn:
    """The entry point of ``kuma-cp``."""
    run_program(root, sys.argv[1:])
