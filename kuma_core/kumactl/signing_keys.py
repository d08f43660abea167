"""``kumactl rotate`` and ``kumactl retire``: the keys that sign dataplane tokens, one after the other."""

from __future__ import annotations

from urllib.parse import quote

import click

from kuma_core.commandline import Group
from kuma_core.kumactl.session import Session, pass_session


@click.group("rotate", cls=Group, short_help="Replace keys.")
def rotate() -> None:
    """Replace keys; what the old ones signed stays good."""


@rotate.command("signing-key", short_help="Make a new key for dataplane tokens.")
@pass_session
def rotate_signing_key(session: Session) -> None:
    """Make a new key, which signs dataplane tokens from now on.

    Tokens of the other keys stay good until their key is retired.
    """
    from kuma_core.kumactl import token_client
    from kuma_core.kumactl.client import known_shape
    from kuma_core.visible import printable

    answer = token_client.ask(session, "failed to make a signing key", "POST", token_client.SIGNING_KEYS)
    with known_shape("the admin server"):
        text = f'signing key "{answer["id"]}", number {answer["serial"]}, signs new tokens from now on'
    click.echo(printable(text))


@click.group("retire", cls=Group, short_help="Retire keys.")
def retire() -> None:
    """Retire keys; what they signed is refused from then on."""


@retire.command("signing-key", short_help="Have all dataplane tokens of a key refused.")
@click.option(
    "--id", "id_", required=True, metavar="ID", help="Which one; kumactl inspect signing-keys shows it."
)
@pass_session
def retire_signing_key(session: Session, id_: str) -> None:
    """Delete a key: all of its dataplane tokens are refused, and the streams end that were let in with them."""
    from kuma_core.kumactl import token_client
    from kuma_core.kumactl.client import check_steps

    check_steps(id_)
    path = f"{token_client.SIGNING_KEYS}/{quote(id_, safe='')}"
    token_client.ask(session, "failed to retire the signing key", "DELETE", path)
    click.echo(f'retired signing key "{id_}"; its tokens are refused from now on')
