"""What ``kuma-cp`` may be told about its log on the command line; the configuration has keys of the same meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from kuma_core.log_formats import FORMATS
from kuma_core.log_levels import choices, parse_levels

_Function = Callable[..., Any]


def log_options(command: _Function) -> _Function:
    """``--log-level`` and ``--log-format``; both are ``None`` if they are not given."""
    level = click.option(
        "--log-level",
        metavar="LEVELS",
        callback=_checked_level,
        help=f"Log level: {choices()}; and of components, as in info,xds=debug. [default: logging.level, or info]",
    )
    format = click.option(
        "--log-format",
        metavar="FORMAT",
        callback=_checked_format,
        help="Log format: console, logfmt or json. [default: logging.format, or console]",
    )
    return level(format(command))


def _checked_level(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else str(parse_levels(value))
    except ValueError as error:
        raise click.UsageError(f"invalid value for --log-level: {error}", ctx) from None


def _checked_format(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and value not in FORMATS:
        raise click.UsageError(f'unknown log format "{value:.100}"; use console, logfmt or json', ctx)
    return value
