"""Services as the control plane derives them: ``kumactl get services``, ``inspect service`` and ``analyze``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from kuma_core.commandline import Command
from kuma_core.errors import KumaError
from kuma_core.kumactl.output import dump, output_option
from kuma_core.kumactl.session import Session, pass_session

WORDS = ("services", "service")
"""What ``kumactl get`` takes for services, which are no kind of resource."""

SERVICES = ("MESH", "NAME", "INSTANCES", "ONLINE", "DEGRADED", "OFFLINE", "NEVER CONNECTED", "TAGS")
NEIGHBOURS = ("DIRECTION", "SERVICE", "VERDICT", "CLIENTS", "ENDPOINTS", "REASON")
FINDINGS = ("LEVEL", "FINDING", "WHERE", "WHAT", "DO")

FOUND = 3
"""The exit code of ``kumactl analyze`` where there is something of level warning or error."""

SEVERE = ("warning", "error")


def show_services(session: Session, name: str | None, output: str) -> None:
    """Print all services of the mesh, or one."""
    path, value = _ask(session, "services", *([name] if name else []))
    if output != "table":
        click.echo(dump(value, output))
        return
    from kuma_core.kumactl.client import known_shape
    from kuma_core.kumactl.table import layout

    with known_shape(path):
        items = [value] if name else value["items"]
        text = layout(SERVICES, [_service(session.mesh, item) for item in items])
    click.echo(text)


def _ask(session: Session, *steps: str) -> tuple[str, dict[str, Any]]:
    """The whole URL, and what the control plane answers there."""
    from kuma_core.kumactl.client import ApiError, check_steps, item_path

    check_steps(session.mesh, *steps[1:])
    client, path = session.client(), item_path(session.mesh, *steps)
    try:
        return client.url + path, client.get(path)
    except ApiError as error:
        if error.status == 404:
            raise _missing(session, *steps) from None
        raise error.behind(f"failed to look at the {steps[0]} of the mesh") from None


def _missing(session: Session, *steps: str) -> KumaError:
    """What is not there: the mesh, the service in it, or a control plane that knows about services."""
    from kuma_core.kumactl.lists import check_mesh

    check_mesh(session.client(), session.mesh)
    if len(steps) > 1:
        text = f'nobody offers or calls a service "{steps[1]}" in mesh "{session.mesh}"'
        return KumaError(f"{text}; `kumactl get services` lists them")
    return KumaError(f"this control plane knows nothing about {steps[0]}: it is older than kumactl")


def _service(mesh: str, item: Mapping[str, Any]) -> list[str]:
    counted = item["instances"]
    states = [str(counted[word]) for word in ("online", "degraded", "offline", "neverConnected")]
    tags = " ".join(f"{key}={','.join(values)}" for key, values in item["tags"].items())
    instances = "none, only called" if item["isGhost"] else str(counted["total"])
    return [mesh, item["name"], instances, *states, tags]


@click.command("service", cls=Command, short_help="Show a service and who calls it.")
@click.argument("name", metavar="NAME")
@output_option
@pass_session
def inspect_service(session: Session, name: str, output: str) -> None:
    """Show the instances of a service, whom it calls, who calls it, and whether they may."""
    path, value = _ask(session, "services", name)
    if output != "table":
        click.echo(dump(value, output))
        return
    from kuma_core.kumactl.client import known_shape

    with known_shape(path):
        text = service_view(value)
    click.echo(text)


def service_view(value: Mapping[str, Any]) -> str:
    """The answer of ``GET /meshes/{mesh}/services/{name}`` as two tables."""
    from kuma_core.kumactl.table import layout

    instances = [[one["dataplane"], _state(one), _tag_sets(one["tags"])] for one in value["dataplanes"]]
    edges = [
        *(_neighbour("calls", edge["destination"], edge) for edge in value["calls"]),
        *(_neighbour("is called by", edge["source"], edge) for edge in value["calledBy"]),
    ]
    upper = layout(("DATAPLANE", "STATUS", "TAGS"), instances)
    return f"{upper}\n\n{layout(NEIGHBOURS, edges)}"


def _state(instance: Mapping[str, Any]) -> str:
    """The status of an instance, and whether it is connected without that others call it."""
    status = str(instance["status"])
    is_away = instance.get("serves") is False and status in ("Online", "Degraded")
    return f"{status} (does not serve)" if is_away else status


def _tag_sets(sets: Sequence[Mapping[str, str]]) -> str:
    from datetime import UTC, datetime

    from kuma_core.kumactl.table import as_tags

    return as_tags(sets, datetime.now(UTC))


def _neighbour(direction: str, service: str, edge: Mapping[str, Any]) -> list[str]:
    return [
        direction,
        service,
        edge["verdict"],
        _healthy(edge["clients"]),
        _healthy(edge["endpoints"]),
        edge["reason"],
    ]


def _healthy(count: Mapping[str, int]) -> str:
    """``2/3``: of three, two are connected."""
    return f"{count['healthy']}/{count['total']}"


@click.command("analyze", cls=Command, short_help="Look for what is wrong in a mesh.")
@output_option
@pass_session
def analyze(session: Session, output: str) -> int:
    """Look for what is wrong in a mesh, and say what to do about it.

    The exit code is 3 if there is anything of level warning or error.
    """
    from kuma_core.kumactl.client import known_shape

    path, value = _ask(session, "findings")
    with known_shape(path):
        items = value["items"]
        severe = any(item["level"] in SEVERE for item in items)
        text = dump(value, output) if output != "table" else _findings(session.mesh, items)
    click.echo(text)
    return FOUND if severe else 0


def _findings(mesh: str, items: Sequence[Mapping[str, Any]]) -> str:
    from kuma_core.kumactl.table import layout

    if not items:
        return f'nothing is wrong in mesh "{mesh}"'
    return layout(FINDINGS, list(_finding_rows(items)))


def _finding_rows(items: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for item in items:
        where = f"{item['subject']['kind']} {item['subject']['name']}"
        yield [item["level"], item["id"], where, item["text"], item["advice"]]
