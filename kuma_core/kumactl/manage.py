"""``kumactl manage``: what belongs to the certificate authorities of a mesh; each brings its own commands."""

from __future__ import annotations

import click

from kuma_core.commandline import Group


@click.group("manage", cls=Group, short_help="Manage certificate authorities.")
def manage() -> None:
    """Manage certificate authorities."""


@manage.group("ca", short_help="Manage the certificate authorities of a mesh.")
def ca() -> None:
    """Manage the certificate authorities of a mesh."""
