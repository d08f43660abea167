"""``kumactl explain``: which policies apply to a connection or a proxy, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from kuma_core.commandline import Command
from kuma_core.errors import KumaError
from kuma_core.kumactl.output import dump, output_option
from kuma_core.kumactl.session import Session, pass_session

HEADER = ("KIND", "FOR", "NAME", "RANK", "RESULT")
DATAPLANE, SERVICE = "dataplane:", "service:"
"""What may stand before a name, to say which of the two is meant."""


@click.command("explain", cls=Command, short_help="Explain which policies apply.")
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="[DESTINATION]", required=False)
@output_option
@pass_session
def explain(session: Session, source: str, destination: str | None, output: str) -> None:
    """Explain which policies apply to connections from SOURCE to DESTINATION, and why the others do not.

    Each is dataplane:NAME, service:NAME, or a bare NAME: a dataplane if there is one, else a service. Without
    a DESTINATION the policies of the proxy of SOURCE itself are explained.
    """
    from kuma_core.kumactl.client import ApiError, check_steps, item_path, known_shape

    check_steps(session.mesh)
    path = item_path(session.mesh, "explain")
    query = [("source", source)] + ([] if destination is None else [("destination", destination)])
    client = session.client()
    try:
        value = client.get(path, query)
    except ApiError as error:
        if error.status == 404 and error.explained:
            raise _missing(session.mesh, source, destination or "") from None
        raise error.behind("failed to explain") from None
    if output != "table":
        click.echo(dump(value, output))
        return
    with known_shape(client.url + path):
        text = table(value)
    click.echo(text)


def _missing(mesh: str, *parties: str) -> KumaError:
    """The server does not tell what is not there; a service need not exist, so there is little that it can be."""
    named = [f'"{p.removeprefix(DATAPLANE)}"' for p in parties if p.startswith(DATAPLANE)]
    no_dataplane = f", or no Dataplane {' or '.join(named)} in it" if named else ""
    return KumaError(f'there is no Mesh with name "{mesh}"{no_dataplane}')


def table(value: Mapping[str, Any]) -> str:
    """The answer of ``GET /meshes/{mesh}/explain``: where the connections go, then every policy.

    Raises TypeError, KeyError or AttributeError for an answer of another shape.
    """
    from kuma_core.kumactl.table import layout
    from kuma_core.visible import printable

    rows = [row for policy in value["policies"] for row in _rows(policy, value["mesh"])]
    below = layout(HEADER, rows) if rows else "the control plane has no kind of policy for this"
    return f"{printable(_heading(value))}\n\n{below}"


def _heading(value: Mapping[str, Any]) -> str:
    source = _bare(value["source"])
    if "destination" not in value:
        return f"{source}: policies of the proxy itself"
    routed = ", ".join(f"{_tags(item['tags'])} {item['weight']}" for item in value["routed"])
    led = f"{source} -> {_bare(value['destination'])} goes to: {routed or 'nowhere, it has no service'}"
    return f"{led}\n{value['access']}: {value['reason']}" if "access" in value else led


def _bare(party: str) -> str:
    return party.removeprefix(DATAPLANE).removeprefix(SERVICE)


def _tags(tags: Mapping[str, str]) -> str:
    """``ledger{version=1}``: the service, then its other tags."""
    others = ",".join(f"{key}={tags[key]}" for key in sorted(tags) if key != "service")
    return tags["service"] + (f"{{{others}}}" if others else "")


def _rows(policy: Mapping[str, Any], mesh: str) -> Iterator[list[str]]:
    """A row for each candidate, those that apply first; one that says so if there is none."""
    leading = [policy["kind"], _subject(policy)]
    if not policy["candidates"]:
        yield [*leading, "-", "-", f'  no {policy["kind"]} exists in mesh "{mesh}"']
    for candidate in sorted(policy["candidates"], key=_order):
        mark = "*" if candidate["applies"] else " "
        yield [*leading, candidate["name"], _rank(candidate["rank"]), f"{mark} {candidate['reason']}"]


def _subject(policy: Mapping[str, Any]) -> str:
    """What a kind is chosen for, by its scope."""
    words = {"proxy": "proxy", "inbound": f"inbound {policy['service']}"}
    found: str = words.get(policy["scope"], policy["service"])
    return found


def _order(candidate: Mapping[str, Any]) -> tuple[bool, int, int, str]:
    """Winners, then the others by rank, then those that do not match."""
    rank = candidate["rank"] or {"total": -1, "exact": -1}
    return (not candidate["applies"], -rank["total"], -rank["exact"], candidate["name"])


def _rank(rank: Mapping[str, int] | None) -> str:
    return "-" if rank is None else f"{rank['total']} ({rank['exact']} exact)"
