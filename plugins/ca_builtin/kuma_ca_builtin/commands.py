"""``kumactl manage ca builtin``: replace the root of a mesh, and see how far that is."""

from __future__ import annotations

import click

from kuma_ca_builtin.progress import HEADER, follow, read, roots
from kuma_core.sdk import KumaError
from kuma_core.sdk.kumactl import (
    ApiError,
    Group,
    Session,
    admin_client,
    item_path,
    json_object,
    layout,
    pass_session,
)


@click.group("builtin", cls=Group)
def builtin() -> None:
    """Manage the CA whose roots the control plane makes."""


@builtin.command("rotate", short_help="Replace the root by a new one.")
@click.option("--wait", is_flag=True, help="Tell of each stage, and end when the old root is gone.")
@pass_session
def rotate(session: Session, wait: bool) -> None:
    """Have the control plane replace the root of a mesh, while everything goes on working.

    Without --wait the command ends at once; `status` shows how far it is.
    """
    client, path = admin_client(session), _path(session.mesh)
    begun = read(json_object(client.send("POST", path).body) or {}, client.url)
    click.echo(f'began to rotate the root of the mesh "{session.mesh}"')
    if not wait:
        return
    for found in follow(lambda: roots(client, path)):
        if found.stage:
            click.echo(found.progress)
        else:
            click.echo(f"done: {begun.signer} is replaced by {found.signer}")


@builtin.command("status", short_help="Show the roots, and how far a rotation is.")
@pass_session
def status(session: Session) -> None:
    """Show the roots of a mesh, and how far a rotation is; keys are never shown."""
    try:
        found = roots(admin_client(session), _path(session.mesh))
    except ApiError as error:
        if error.status != 404:
            raise
        raise KumaError(
            f'the mesh "{session.mesh}" has no roots of the builtin CA: there is no such mesh, or it has another CA; '
            "`kumactl get meshes` lists them"
        ) from error
    click.echo(layout(HEADER, found.rows))
    click.echo(found.progress)


def _path(mesh: str) -> str:
    return item_path(mesh, "ca") + "/builtin/rotations"
