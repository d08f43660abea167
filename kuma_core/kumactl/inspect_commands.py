"""``kumactl inspect``: how the dataplanes are doing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import Group, tell
from kuma_core.errors import KumaError
from kuma_core.kumactl.output import dump, output_option
from kuma_core.kumactl.parameters import key_values, watch_option
from kuma_core.kumactl.services import inspect_service
from kuma_core.kumactl.session import Session, pass_session

if TYPE_CHECKING:
    from datetime import datetime

    from kuma_core.kumactl.client import Client

HEADER = (
    "MESH",
    "NAME",
    "TAGS",
    "STATUS",
    "LAST CONNECTED AGO",
    "LAST UPDATED AGO",
    "TOTAL UPDATES",
    "TOTAL ERRORS",
)


@click.group("inspect", cls=Group, short_help="Look at the state of the mesh.")
def inspect() -> None:
    """Look at the state of the mesh."""


inspect.add_command(inspect_service)


@inspect.command("dataplanes", short_help="Show dataplanes and their connections.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values,
    help="Only dataplanes with this tag; repeatable, comma separated; the value * matches any.",
)
@output_option
@watch_option
@pass_session
def dataplanes(session: Session, tags: dict[str, str], output: str, watch: bool) -> None:
    """Show the dataplanes of a mesh with the state of their connections.

    With --watch it shows each again whose status changes, until it is ended.
    """
    client = session.client()
    if watch:
        from kuma_core.kumactl import watching

        events = watching.Events(session, session.mesh, "Dataplane")
        watching.show_changes(
            events, partial(_overviews, session, client, tags), _show_some(output), _essence
        )
        return
    value = _overviews(session, client, tags)
    if output != "table":
        click.echo(dump(value, output))
    else:
        _print_table(value["items"])


def _overviews(session: Session, client: Client, tags: Mapping[str, str]) -> dict[str, Any]:
    from kuma_core.kumactl.client import item_path
    from kuma_core.kumactl.lists import check_mesh, fetch_items, items_of

    path = item_path(session.mesh, "dataplanes+insights")
    query = [("tag", f"{key}:{value}") for key, value in tags.items()]
    value = fetch_items(client, path, "failed to list Dataplanes", query)
    if not items_of(value):
        check_mesh(client, session.mesh)
    return value


def _essence(item: Mapping[str, Any]) -> Any:
    """What of an overview a watcher wants to hear of: counters are no news."""
    return item.get("dataplane"), item.get("status"), item.get("presence")


def _show_some(output: str) -> Callable[[Sequence[dict[str, Any]], bool], None]:
    """Prints some overviews; the first time with the header."""

    def show(items: Sequence[dict[str, Any]], is_first: bool) -> None:
        if output == "table":
            _print_table(items, is_first)
        else:
            for item in items:
                click.echo(("---\n" if output == "yaml" else "") + dump(item, output))

    return show


def _print_table(items: Sequence[dict[str, Any]], header: bool = True) -> None:
    from datetime import UTC, datetime

    from kuma_core.kumactl.table import layout

    now = datetime.now(UTC)
    text = layout(HEADER, [row(item, now) for item in items])
    click.echo(text if header else text.partition("\n")[2])
    for line in troubles(items):
        tell(line)


@inspect.command("xds", short_help="Show the Envoy configuration of a dataplane.")
@click.argument("dataplane", metavar="DATAPLANE")
@output_option
@pass_session
def xds(session: Session, dataplane: str, output: str) -> None:
    """Show what the control plane would send to a dataplane now, and what its Envoy made of the last of it.

    The table names the resources; yaml and json print them whole.
    """
    from datetime import UTC, datetime

    from kuma_core.kumactl import xds_view
    from kuma_core.kumactl.client import ApiError, check_steps, item_path, known_shape

    check_steps(session.mesh, dataplane)
    path = item_path(session.mesh, "dataplanes", dataplane) + "/xds"
    client = session.client()
    try:
        value = client.get(path)
    except ApiError as error:
        if error.status == 404 and error.explained:
            missing = f'there is no Dataplane with name "{dataplane}" in mesh "{session.mesh}"'
            raise KumaError(missing) from None
        raise error.behind(f'failed to inspect Dataplane "{dataplane}"') from None
    if output != "table":
        click.echo(dump(value, output))
        return
    with known_shape(client.url + path):
        text = xds_view.text(value, datetime.now(UTC))
    click.echo(text)


@inspect.command(
    "control-plane-ca", short_help="Show the certificate that proxies know the control plane by."
)
@pass_session
def control_plane_ca(session: Session) -> None:
    """Print the root certificate by which proxies know the control plane, in PEM; kuma-dp pins it.

    Run it on the machine of the control plane, where nobody can answer in its place.
    """
    from kuma_core.kumactl import admin
    from kuma_core.kumactl.client import ApiError
    from kuma_core.visible import printable

    client = admin.admin_client(session)
    try:
        answer = client.send("GET", "/control-plane-ca")
    except ApiError as error:
        raise admin.refused("failed to get the certificate of the control plane", error) from None
    click.echo(printable(answer.text()))


@inspect.command("signing-keys", short_help="Show the keys of dataplane tokens.")
@output_option
@pass_session
def signing_keys(session: Session, output: str) -> None:
    """Show the keys that verify dataplane tokens; the first one signs new ones."""
    from kuma_core.kumactl import token_client

    value = token_client.ask(session, "failed to list the signing keys", "GET", token_client.SIGNING_KEYS)
    _show(value, output, ("ID", "NUMBER", "SIGNS"), ("id", "serial", "signs"))


@inspect.command("revoked-tokens", short_help="Show which dataplane tokens are revoked.")
@output_option
@pass_session
def revoked_tokens(session: Session, output: str) -> None:
    """Show the ids of the dataplane tokens that are revoked, and until when that has to be remembered."""
    from kuma_core.kumactl import token_client

    value = token_client.ask(session, "failed to list the revoked tokens", "GET", token_client.REVOCATIONS)
    _show(value, output, ("ID", "EXPIRES"), ("id", "expires"))


def _show(value: dict[str, Any], output: str, header: Sequence[str], members: Sequence[str]) -> None:
    """Print the items of an answer; in the table what is true is Yes, what is missing a dash."""
    from kuma_core.kumactl.client import known_shape
    from kuma_core.kumactl.table import layout

    if output != "table":
        click.echo(dump(value, output))
        return
    words = {"True": "Yes", "False": "No", "None": "-"}
    with known_shape("the admin server"):
        cells = [[str(item.get(member)) for member in members] for item in value["items"]]
    click.echo(layout(header, [[words.get(cell, cell) for cell in line] for line in cells]))


def row(item: Mapping[str, Any], now: datetime) -> list[str]:
    """The cells of one DataplaneOverview; what has the wrong shape counts as absent."""
    from kuma_core.kumactl.table import as_age, as_sum, as_text, cell
    from kuma_core.model import CellFormat, Column

    paths = "dataplane.networking.inbound.*.tags|dataplane.networking.gateway.tags"
    subscriptions = _subscriptions(item)
    latest = _latest(subscriptions)
    return [
        as_text([item.get("mesh", "")], now),
        as_text([item.get("name", "")], now),
        cell(item, Column("TAGS", paths, CellFormat.TAGS), now),
        state(item) + _absence(item),
        as_age([latest.get("connectTime")], now),
        as_age([_status(latest).get("lastUpdateTime")], now),
        as_sum([_total(s).get("responsesSent") for s in subscriptions], now),
        as_sum([_total(s).get("responsesRejected") for s in subscriptions], now),
    ]


def state(item: Mapping[str, Any]) -> str:
    """The word of a DataplaneOverview's status; a control plane that gives none gets the two words of Kuma 0.3."""
    found = _object(item.get("status")).get("state")
    if isinstance(found, str) and found:
        return found
    return "Online" if any(map(_is_open, _subscriptions(item))) else "Offline"


def _absence(item: Mapping[str, Any]) -> str:
    """A word behind the status of a proxy that is connected, and is no endpoint for others."""
    found = _object(item.get("presence")).get("state")
    is_away = found in ("Joining", "Leaving") and state(item) in ("Online", "Degraded")
    return f" ({found.lower()})" if is_away and isinstance(found, str) else ""


def troubles(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each Dataplane that is degraded, or connected and not called: why it is."""
    from kuma_core.visible import printable

    lines = []
    for item in items:
        name = item.get("name", "")
        if state(item) == "Degraded":
            lines.append(f"{name} is degraded: {_object(item.get('status')).get('reason', '')}")
        if absence := _absence(item):
            lines.append(
                f"{name} is {absence.strip(' ()')}: {_object(item.get('presence')).get('reason', '')}"
            )
    return list(map(printable, lines))


def _subscriptions(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = _object(item.get("dataplaneInsight")).get("subscriptions")
    return [s for s in found if isinstance(s, dict)] if isinstance(found, list) else []


def _latest(subscriptions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The subscription with the greatest connectTime, or ``{}``."""
    from kuma_core.kumactl.table import timestamp

    timed = [(time, s) for s in subscriptions if (time := timestamp(s.get("connectTime"))) is not None]
    return max(timed, key=lambda pair: pair[0])[1] if timed else {}


def _is_open(subscription: Mapping[str, Any]) -> bool:
    return bool(subscription.get("connectTime")) and not subscription.get("disconnectTime")


def _status(subscription: Mapping[str, Any]) -> dict[str, Any]:
    return _object(subscription.get("status"))


def _total(subscription: Mapping[str, Any]) -> dict[str, Any]:
    return _object(_status(subscription).get("total"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
