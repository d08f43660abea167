"""``kumactl auth``: who the control plane takes us for, and what we may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.output import dump, output_option
from kuma_core.kumactl.session import Session, pass_session

NO = 1
"""The exit code of ``can-i`` for what one may not do."""


@click.group("auth", cls=Group, short_help="Tell who you are to the control plane, and what you may do.")
def auth() -> None:
    """Tell who you are to the control plane, and what you may do."""


@auth.command("whoami", short_help="Tell who the control plane takes you for.")
@output_option
@pass_session
def whoami(session: Session, output: str) -> None:
    """Tell who the control plane takes you for, by what, and with which rights."""
    place, value = _ask(session, "/whoami", ())
    if output != "table":
        click.echo(dump(value, output))
        return
    from kuma_core.kumactl.client import known_shape
    from kuma_core.kumactl.table import layout

    with known_shape(place):
        groups = ",".join(map(str, value["groups"]))
        rights = ",".join(map(str, value["rights"]))
        text = layout(
            ("NAME", "GROUPS", "BY", "RIGHTS"), [[str(value["name"]), groups, str(value["by"]), rights]]
        )
    click.echo(text)


@auth.command("can-i", short_help="Tell whether you may do something, and why.")
@click.argument("verb", metavar="VERB")
@click.argument("kind", metavar="KIND")
@click.option("--name", metavar="NAME", help="Name of the resource. [default: rules with names do not count]")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    help="Tag of an inbound of the Dataplane, as in service=web; repeatable.",
)
@click.option(
    "--all-meshes", is_flag=True, help="Ask about all meshes at once, as a list through them needs."
)
@output_option
@pass_session
def can_i(
    session: Session,
    verb: str,
    kind: str,
    name: str | None,
    tags: Sequence[str],
    all_meshes: bool,
    output: str,
) -> int:
    """Tell whether you may VERB resources of a KIND: get, list, put, delete, dry-run or generate-token.

    The exit code is 0 for yes, and 1 for no.
    """
    from kuma_core.kumactl import kinds
    from kuma_core.kumactl.client import known_shape

    meant = kinds.fetch(session.client()).find(kind)
    query = [("verb", verb), ("kind", meant.name)]
    query += [] if all_meshes else [("mesh", session.mesh)]
    query += [] if name is None else [("name", name)]
    place, value = _ask(session, "/can-i", [*query, *(("tag", tag) for tag in tags)])
    with known_shape(place):
        allowed, text = value["allowed"] is True, _answer(value)
    click.echo(text if output == "table" else dump(value, output))
    return 0 if allowed else NO


def _ask(session: Session, path: str, query: Sequence[tuple[str, str]]) -> tuple[str, dict[str, Any]]:
    """The whole URL, and what the control plane answers there."""
    from kuma_core.kumactl.client import ApiError

    client = session.client()
    try:
        return client.url + path, client.get(path, query)
    except ApiError as error:
        if error.status == 404:
            raise KumaError("this control plane knows no users: it is older than kumactl") from None
        raise error.behind("failed to ask about rights") from None


def _answer(value: Mapping[str, Any]) -> str:
    """``yes``, or ``no``, why, and what helps.

    Raises TypeError or KeyError for an answer of another shape.
    """
    from kuma_core.visible import printable

    lines = [f"{'yes' if value['allowed'] else 'no'}: {value['why']}"]
    lines += [f"  What helps: {way}" for way in value["ways"]]
    return printable("\n".join(lines))
