"""Which plugins ``kuma-cp`` works with: those of ``--plugins``, else of ``KUMA_PLUGINS``, else all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from kuma_core import packages
from kuma_core.errors import ConfigError
from kuma_core.plugin import extras
from kuma_core.plugin.loader import (
    PLUGINS_ENV,
    Plugin,
    discover,
    load,
    parse_selection,
    refuse_bare_kernel,
    refuse_unusable,
)

if TYPE_CHECKING:
    from kuma_core.plugin.catalog import Catalog


def _said_before(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """What stands before the command holds for it, too, unless it says something else itself."""
    return value if value is not None or ctx.parent is None else ctx.find_root().params.get("plugins")


plugins_option = click.option(
    "--plugins",
    metavar="NAMES",
    callback=_said_before,
    is_eager=True,
    help=f"Load only these plugins (a,b), all but one (no:x) or none (''). Default: {PLUGINS_ENV}, "
    "else all that are installed.",
)


def chosen(flag: str | None, environ: Mapping[str, str]) -> list[Plugin]:
    """The plugins that the flag, else the environment selects. An empty text counts, too: it means none."""
    variable = environ.get(PLUGINS_ENV)
    if flag is not None and variable not in (None, flag):
        click.echo(f'Warning: --plugins "{flag}" is used, not {PLUGINS_ENV} "{variable}"', err=True)
    refuse_bare_kernel()
    selection = parse_selection(variable if flag is None else flag)
    return load(discover(), selection, extras.CONTROL_PLANE)


def chosen_catalog(flag: str | None) -> Catalog:
    """The catalog of the plugins that are selected."""
    return load_catalog(chosen(flag, os.environ))


def load_catalog(plugins: list[Plugin]) -> Catalog:
    """The catalog of usable plugins; raises ``PluginError`` for the first one that is not."""
    with libraries():
        from kuma_core.builtin import FEATURES
        from kuma_core.plugin.catalog import build_catalog

    refuse_unusable(plugins)
    return build_catalog(FEATURES, plugins)


@contextmanager
def libraries() -> Iterator[None]:
    """Turn a library that is there and cannot be imported into a ``ConfigError`` that says what to do.

    pydantic tells of a half of it that does not fit with a ``SystemError``.
    """
    try:
        yield
    except (ImportError, SystemError) as error:
        raise ConfigError(
            f"a library of the control plane cannot be used: {type(error).__name__}: {error}. Install it anew: "
            f"{packages.pip_install('kuma-core', extras.CONTROL_PLANE)}"
        ) from error
