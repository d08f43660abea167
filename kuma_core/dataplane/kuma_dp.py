"""The program ``kuma-dp``: its commands and flags."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, replace

import click
from click.core import ParameterSource

from kuma_core import commandline
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.run import run as run_dataplane
from kuma_core.dataplane.settings import OPTIONS, Option, check, resolve

_log_level_flag: Callable[[Callable[..., None]], Callable[..., None]] = commandline.log_level_option("off")


@click.group("kuma-dp", cls=commandline.Group, help="Run an Envoy beside a service of the mesh.")
@_log_level_flag
def kuma_dp(log_level: str) -> None:
    """The root; ``--log-level`` is read by ``run`` from the context."""


commandline.add_standard_commands(kuma_dp)


def _setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        if option.flag is not None:
            command = click.option(option.flag, option.name, metavar=option.metavar, help=_help(option))(
                command
            )
    return command


def _help(option: Option) -> str:
    default = f"; default: {option.default}" if option.default else ""
    return f"{option.help}  [env var: {option.env}{default}]"


def _epilog() -> str:
    lines = [f"{o.env}: {o.help} Default: {o.default}." for o in OPTIONS if o.flag is None]
    return "\n\n".join(["Environment only:", *lines])


@click.command(
    "run",
    context_settings=commandline.CONTEXT_SETTINGS,
    help="Launch Envoy as the data plane of one Dataplane resource.",
    epilog=_epilog(),
)
@_setting_flags
@_log_level_flag
def run(log_level: str, **flags: str | None) -> None:
    """Resolve and check the settings, tell the warnings, then do the work."""
    values, warnings = resolve(flags, os.environ)
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    settings = check(values)
    log = Log(_log_level(click.get_current_context(), log_level))
    told = replace(settings, probing=None)  # headers of probes may be secrets
    log.info("effective configuration", **asdict(told))
    run_dataplane(settings, log)


def _log_level(ctx: click.Context, own: str) -> str:
    """The flag is global: it may stand before the command or behind it."""
    if ctx.get_parameter_source("log_level") == ParameterSource.COMMANDLINE or ctx.parent is None:
        return own
    return str(ctx.parent.params["log_level"])


kuma_dp.add_command(run)


def main() -> None:
    """The console script."""
    commandline.run(kuma_dp)
