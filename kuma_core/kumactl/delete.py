"""``kumactl delete``: remove one resource of any kind (specification of the command line, 7.6)."""

from __future__ import annotations

import click

from kuma_core.commandline import Command
from kuma_core.errors import KumaError
from kuma_core.kumactl.session import Session, pass_session


@click.command("delete", cls=Command, short_help="Delete a resource.")
@click.argument("arguments", nargs=-1, metavar="TYPE NAME")
@pass_session
def delete(session: Session, arguments: tuple[str, ...]) -> None:
    """Delete the resource of a TYPE that has a NAME."""
    if len(arguments) != 2:
        context = click.get_current_context()
        raise click.UsageError(f"accepts 2 arg(s), received {len(arguments)}", context)
    from kuma_core.kumactl import kinds
    from kuma_core.kumactl.client import ApiError

    word, name = arguments
    client = session.client()
    kind = kinds.fetch(client).find_singular(word)
    if kind.read_only:
        raise KumaError(f"{kind.name} is read-only: the control plane removes it itself")
    try:
        client.delete(kind.path_of(session.mesh, name))
    except ApiError as error:
        if error.status == 404:
            raise kind.missing(session.mesh, name) from None
        raise error.behind(f'failed to delete {kind.name} with the name "{name}"') from None
    click.echo(f'deleted {kind.name} "{name}"')
