"""``kumactl delete``: remove one resource of any kind, or tell what that would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kuma_core.errors import KumaError
from kuma_core.kumactl.dry_run import VALIDATE, XDS, DryRunCommand, Report, check_output, dry_run_option
from kuma_core.kumactl.output import output_option
from kuma_core.kumactl.session import Session, pass_session

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client
    from kuma_core.kumactl.kinds import Kind


@click.command("delete", cls=DryRunCommand, short_help="Delete a resource.")
@click.argument("arguments", nargs=-1, metavar="TYPE NAME")
@dry_run_option("Only look whether it is there")
@output_option
@pass_session
def delete(session: Session, arguments: tuple[str, ...], dry_run: str, output: str) -> None:
    """Delete the resource of a TYPE that has a NAME.

    With --dry-run=xds the control plane tells which proxies that would change, and how. The output format is
    for that answer.
    """
    check_output(output, dry_run)
    if len(arguments) != 2:
        context = click.get_current_context()
        raise click.UsageError(f"accepts 2 arg(s), received {len(arguments)}", context)
    from kuma_core.kumactl import kinds as kinds_module
    from kuma_core.kumactl.client import ApiError

    word, name = arguments
    client = session.client()
    kinds = kinds_module.fetch(client)
    if dry_run == XDS:
        kinds.check_dry_run()
    kind = kinds.find_singular(word)
    if kind.read_only:
        raise KumaError(f"{kind.name} is read-only: the control plane removes it itself")
    try:
        _delete(client, kind, session.mesh, name, dry_run, output)
    except ApiError as error:
        if error.status == 404:
            raise kind.missing(session.mesh, name) from None
        raise error.behind(f'failed to delete {kind.name} with the name "{name}"') from None


def _delete(client: Client, kind: Kind, mesh: str, name: str, dry_run: str, output: str) -> None:
    path = kind.path_of(mesh, name)
    if dry_run == XDS:
        report = Report("delete", output, click.echo)
        report.add(kind, mesh, name, client.dry_run("DELETE", path))
        report.end()
    elif dry_run == VALIDATE:
        client.get(path)
        click.echo(f'would delete {kind.name} "{name}"')
    else:
        client.delete(path)
        click.echo(f'deleted {kind.name} "{name}"')
