"""``kumactl wait``: return once something is as it should be, or say after a while how it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.parameters import seconds
from kuma_core.kumactl.session import Session, pass_session

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client

STATES = {
    "online": ("Online",),
    "offline": ("Offline", "Never connected"),
    "degraded": ("Degraded",),
    "gone": ("",),
}
"""What one may wait for, and the states that it stands for; ``""`` is that of a Dataplane that is not there."""


@click.group("wait", cls=Group, short_help="Wait until something is so.")
def wait() -> None:
    """Wait until something is so, and then return."""


@wait.command("dataplane", short_help="Wait for the state of a dataplane.")
@click.argument("name", metavar="NAME")
@click.option(
    "--for",
    "wanted",
    default="online",
    show_default=True,
    metavar="STATE",
    help="What to wait for: online, degraded, offline or gone.",
)
@click.option(
    "--timeout",
    default="30s",
    show_default=True,
    metavar="DURATION",
    callback=seconds,
    help="How long to wait.",
)
@pass_session
def dataplane(session: Session, name: str, wanted: str, timeout: float) -> None:
    """Wait until the proxy of a dataplane is in a state; the dataplane need not be there yet.

    It follows the events of the control plane, and so returns a moment after the state is reached.
    """
    from kuma_core.kumactl import watching
    from kuma_core.kumactl.client import check_steps

    if wanted not in STATES:
        raise KumaError(f'cannot wait for "{wanted}"; use {", ".join(STATES)}')
    check_steps(session.mesh, name)
    deadline, client = time.monotonic() + timeout, session.client()
    events = watching.Events(session, session.mesh, "Dataplane")
    status = _status(client, session.mesh, name)
    while status.get("state", "") not in STATES[wanted]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise KumaError(f'Dataplane "{name}" is not {wanted} after {timeout:g} s: {_described(status)}')
        if any(event.data.get("name") in (name, None) for event in events.next(left, 0)):
            status = _status(client, session.mesh, name)
    click.echo(f'Dataplane "{name}" is {wanted}')


def _status(client: Client, mesh: str, name: str) -> dict[str, Any]:
    """The status of a Dataplane; an empty one if there is no such Dataplane."""
    from kuma_core.kumactl.client import ApiError, Unreachable, item_path

    try:
        found = client.get(item_path(mesh, "dataplanes+insights", name)).get("status")
    except ApiError as error:
        if error.status == 404 and error.explained:
            return {}
        raise error.behind(f'failed to look for Dataplane "{name}"') from None
    if not isinstance(found, dict):
        raise Unreachable(f"the control plane at {client.url} tells no status: it is older than this kumactl")
    return found


def _described(status: dict[str, Any]) -> str:
    from kuma_core.visible import printable

    if not status:
        return "there is no such Dataplane"
    words = [str(status.get("state")), *([f"since {status['since']}"] if "since" in status else [])]
    reason = str(status.get("reason", ""))
    return printable(" ".join(words) + (f": {reason}" if reason else ""))
