"""``kumactl get``: any kind that the server has, as a table or as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import Command
from kuma_core.errors import KumaError
from kuma_core.kumactl.lists import check_mesh, fetch_items, items_of
from kuma_core.kumactl.output import dump, is_of_plugin, resources_option, resources_text
from kuma_core.kumactl.parameters import watch_option
from kuma_core.kumactl.session import Session, pass_session
from kuma_core.model import Scope

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client
    from kuma_core.kumactl.kinds import Kind


@click.command("get", cls=Command, short_help="Show resources.")
@click.argument("type_", metavar="TYPE", required=False)
@click.argument("name", metavar="[NAME]", required=False)
@resources_option
@watch_option
@pass_session
def get(session: Session, type_: str | None, name: str | None, output: str, watch: bool) -> None:
    """Show all resources of a TYPE, or the one with a NAME.

    TYPE is a kind that the control plane has, such as meshes, dataplanes or traffic-permissions; the
    singular and the short names work too. With --watch it shows each again that changes, until it is ended. TYPE may
    also be services, which the control plane derives from the tags of dataplanes, or audit: who wrote what lately, and
    who was denied what.
    """
    if type_ is None:
        click.echo(click.get_current_context().get_help())
        return
    from kuma_core.kumactl import audit, kinds, services

    if type_.lower() in services.WORDS:
        if watch:
            raise KumaError(
                "services are derived from dataplanes; watch these: `kumactl get dataplanes --watch`"
            )
        if is_of_plugin(output):
            raise KumaError(f"services are no resources: -o {output} is for kinds that are stored")
        services.show_services(session, name, output)
        return
    if type_.lower() in audit.WORDS:
        audit.show_audit(session, name, output, watch)
        return
    client = session.client()
    kind = kinds.fetch(client).find(type_)
    if watch:
        _watch(session, client, kind, name, output)
        return
    value = _items(client, kind, session.mesh) if name is None else _item(client, kind, session.mesh, name)
    if is_of_plugin(output):
        click.echo(resources_text(items_of(value) if name is None else [value], output))
    elif output != "table":
        click.echo(dump(value, output))
    else:
        click.echo(_table(kind, items_of(value) if name is None else [value]))


def _watch(session: Session, client: Client, kind: Kind, name: str | None, output: str) -> None:
    from kuma_core.kumactl import watching

    def fetch() -> dict[str, Any]:
        value = _items(client, kind, session.mesh)
        return {"items": [item for item in value["items"] if name in (None, item.get("name"))]}

    def show(items: Sequence[dict[str, Any]], is_first: bool) -> None:
        if output == "table":
            text = _table(kind, items)
            click.echo(text if is_first else text.partition("\n")[2])
            return
        if is_of_plugin(output):
            click.echo(resources_text(items, output))
            return
        for item in items:
            click.echo(("---\n" if output == "yaml" else "") + dump(item, output))

    mesh = session.mesh if kind.scope is Scope.MESH else ""
    watching.show_changes(watching.Events(session, mesh, kind.name), fetch, show)


def _items(client: Client, kind: Kind, mesh: str) -> dict[str, Any]:
    value = fetch_items(client, kind.path_of(mesh), f"failed to list {kind.name} resources")
    if kind.scope is Scope.MESH and not value["items"]:
        check_mesh(client, mesh)
    return value


def _item(client: Client, kind: Kind, mesh: str, name: str) -> dict[str, Any]:
    from kuma_core.kumactl.client import ApiError

    try:
        return client.get(kind.path_of(mesh, name))
    except ApiError as error:
        if error.status == 404:
            raise kind.missing(mesh, name) from None
        raise error.behind(f'failed to get {kind.name} with the name "{name}"') from None


def _table(kind: Kind, items: Sequence[dict[str, Any]]) -> str:
    """MESH (not for global kinds), NAME, then the kind's own columns."""
    from datetime import UTC, datetime

    from kuma_core.kumactl.table import cell, layout
    from kuma_core.model import Column

    now = datetime.now(UTC)
    own = [Column("NAME", "name")]
    leading = [Column("MESH", "mesh"), *own] if kind.scope is Scope.MESH else own
    columns = [*leading, *kind.columns]
    rows = [[cell(item, column, now) for column in columns] for item in items]
    return layout([column.header for column in columns], rows)
