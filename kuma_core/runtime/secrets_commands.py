"""``kuma-cp secrets``: keys that encrypt secrets at rest, and the secrets of a store under another key."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from kuma_core.commandline import Group
from kuma_core.errors import ConfigError, KumaError
from kuma_core.runtime.config_commands import file_option
from kuma_core.runtime.plugin_choice import chosen_catalog, plugins_option

if TYPE_CHECKING:
    from kuma_core.resources.encryption import Keyring
    from kuma_core.resources.secrets import SecretManager, Survey

NONE = 'the store "{}" holds no secrets; store.type (KUMA_STORE_TYPE) chooses another one'


@click.group("secrets", cls=Group, help="Encrypt the secrets in the store, and change the key.")
def secrets() -> None:
    """The group; its commands are below."""


@secrets.command("generate-key", help="Make a key for the file of store.encryption.keyFile.")
@click.option(
    "--output-file", metavar="FILE", help="The file to make, for its owner alone. [default: stdout]"
)
def generate_key(output_file: str | None) -> None:
    from kuma_core.resources.key_file import new_line

    id, line = new_line()
    if output_file is None:
        _print(line)
        return
    try:
        made = os.open(output_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(made, "w", encoding="ascii") as file:
            file.write(line)
    except (OSError, ValueError) as error:
        raise ConfigError(_not_made(output_file, error)) from None
    click.echo(f"made the key {id} in {output_file}")


def _print(line: str) -> None:
    if sys.stdout.isatty():
        raise ConfigError(
            "the key would stand on the screen; use --output-file FILE, or add it to a file with >> FILE"
        )
    click.echo(line, nl=False)


def _not_made(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileExistsError):
        return f'"{path}" exists already; add a key to it: kuma-cp secrets generate-key >> {path}'
    return f'cannot make the file "{path}": {getattr(error, "strerror", None) or error}'


@secrets.command(
    "status", help="Tell which keys the stored secrets need; exit code 1 if rekey has work to do."
)
@file_option
@plugins_option
@click.pass_context
def status(ctx: click.Context, config_file: str | None, plugins: str | None) -> None:
    with _opened(config_file, plugins) as (store, manager, keyring):
        found = manager.survey()
    for id, count in sorted(found.readable.items()):
        click.echo(f"{_secrets(count)} {_how(id)}{' (current)' if id == keyring.key_id else ''}")
    for problem in found.unreadable:
        click.echo(problem)
    if not (found.readable or found.unreadable):
        click.echo(NONE.format(store))
    ctx.exit(_is_behind(found, keyring))


def _is_behind(found: Survey, keyring: Keyring) -> bool:
    return bool(found.unreadable or set(found.readable) - {keyring.key_id})


@secrets.command(
    "rekey", help="Encrypt every stored secret with the first key. Doing it again changes nothing."
)
@file_option
@plugins_option
def rekey(config_file: str | None, plugins: str | None) -> None:
    with _opened(config_file, plugins) as (store, manager, keyring):
        if not keyring.is_configured:
            raise ConfigError(_unconfigured())
        done = manager.rekey()
    told = f"{_secrets(done.changed)} changed, {done.unchanged} unchanged: {_how(keyring.key_id)}"
    click.echo(told if done.changed or done.unchanged or done.unreadable else NONE.format(store))
    for problem in done.unreadable:
        click.echo(problem, err=True)
    if done.unreadable:
        raise KumaError(f"{_secrets(len(done.unreadable))} cannot be read and stayed as they were")


def _unconfigured() -> str:
    from kuma_core.resources.encryption import KEY_FILE

    return (
        f"no key is configured; set {KEY_FILE}. To store secrets in the clear again, put the word plain as "
        "the first line of that file"
    )


def _secrets(count: int) -> str:
    return f"{count} secret" + "s" * (count != 1)


def _how(id: str) -> str:
    return f"encrypted with the key {id}" if id else "in the clear"


@contextmanager
def _opened(config_file: str | None, plugins: str | None) -> Iterator[tuple[str, SecretManager, Keyring]]:
    """The store that the configuration chooses, by name, its secrets, and the keys that are configured."""
    from kuma_core.resources.boundary import opened_store
    from kuma_core.resources.key_file import configured_keyring
    from kuma_core.resources.secrets import SecretManager
    from kuma_core.runtime.configuration import read_config

    catalog = chosen_catalog(plugins)
    config = read_config(catalog, config_file, os.environ)
    keyring = configured_keyring(config)
    factory = catalog.store(config.text("store.type"))
    with opened_store(factory, catalog.store_plugin(factory.name), config, catalog.kinds) as store:
        yield factory.name, SecretManager(store, keyring), keyring
