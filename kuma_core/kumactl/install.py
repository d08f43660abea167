"""``kumactl install``: what other systems need for a control plane; stores bring what their databases need."""

from __future__ import annotations

import click

from kuma_core.commandline import Group


@click.group("install", cls=Group, short_help="Print what other systems need for a control plane.")
def install() -> None:
    """Print what other systems need for a control plane."""
