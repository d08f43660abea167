"""``kuma-cp config``: what is in effect and why, without starting anything."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import Group
from kuma_core.runtime.plugin_choice import chosen_catalog, plugins_option

if TYPE_CHECKING:
    from kuma_core.config import Config

file_option = click.option("--config-file", "-c", metavar="PATH", help="Configuration file, YAML.")


@click.group("config", cls=Group, help="Look at the configuration, without starting anything.")
def config() -> None:
    """The group; its commands are below."""


@config.command("view", help="Print the effective configuration; passwords are masked.")
@file_option
@plugins_option
@click.option("--output", "-o", type=click.Choice(["yaml", "json"]), default="yaml", help="Output format.")
@click.option("--sources", is_flag=True, help="Tell where each value came from.")
def view(config_file: str | None, plugins: str | None, output: str, sources: bool) -> None:
    from kuma_core.runtime import annotated

    effective = _read(config_file, plugins)
    if sources and output == "yaml":
        text = annotated.with_sources(effective)
    else:
        value = _by_source(effective) if sources else effective.as_document()
        text = annotated.to_yaml(value) if output == "yaml" else json.dumps(value, indent=2) + "\n"
    click.echo(text, nl=False)


@config.command("validate", help="Check the configuration as `kuma-cp run` does before it starts.")
@file_option
@plugins_option
def validate(config_file: str | None, plugins: str | None) -> None:
    from kuma_core.runtime.files import check_files

    check_files(_read(config_file, plugins, needs_store=True))
    click.echo("the configuration is valid")


@config.command("defaults", help="Print a configuration file with every key, its default and what it means.")
@plugins_option
def defaults(plugins: str | None) -> None:
    from kuma_core.runtime import annotated

    click.echo(annotated.defaults(chosen_catalog(plugins).settings), nl=False)


def _read(config_file: str | None, plugins: str | None, needs_store: bool = False) -> Config:
    """The effective configuration; its warnings go to stderr. Raises ConfigError."""
    from kuma_core.runtime.configuration import read_config

    catalog = chosen_catalog(plugins)
    effective = read_config(catalog, config_file, os.environ)
    for warning in effective.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if needs_store:
        catalog.store(effective.text("store.type"))
    return effective


def _by_source(effective: Config) -> dict[str, Any]:
    return {
        setting.path: {"value": effective.shown(setting), "source": effective.sources[setting.path]}
        for setting in effective.settings
    }
