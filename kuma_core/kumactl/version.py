"""``kumactl version``, which must stay cheap: nothing heavy is imported here."""

from __future__ import annotations

import click

from kuma_core import __version__
from kuma_core.built import detailed_version
from kuma_core.commandline import Command
from kuma_core.kumactl.session import Session, pass_session


@click.command("version", cls=Command, short_help="Print the version of this program.")
@click.option("--detailed", "-a", is_flag=True, help="Print what it was built from, too.")
@click.option("--server", is_flag=True, help="Ask the control plane for its version, too.")
@pass_session
def version(session: Session, detailed: bool, server: bool) -> None:
    """Print the version of this program."""
    session.prepare()
    if not server:
        click.echo(detailed_version() if detailed else __version__)
        return
    click.echo(detailed_version() if detailed else f"{'Version:':<12}{__version__}")
    click.echo(f"{'Server:':<12}{_server_version(session)}")


def _server_version(session: Session) -> str:
    client = session.client()
    index = client.get("/")
    found = index.get("version")
    return f"{found if isinstance(found, str) else 'unknown'} ({client.url})"
