"""``kumactl revoke``: tokens that nobody is to believe any more."""

from __future__ import annotations

from typing import Any

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.session import Session, pass_session

USER_TOKEN = "user token"
MAX_TOKEN = 64 * 1024
"""As much as the admin server takes."""


@click.group("revoke", cls=Group, short_help="Revoke tokens.")
def revoke() -> None:
    """Revoke tokens."""


@revoke.command("dataplane-token", short_help="Have a dataplane token refused from now on.")
@click.option("--token-file", metavar="FILE|-", help="File that holds the token; - is standard input.")
@click.option(
    "--id", "id_", metavar="ID", help="The token's id, its jti, where the token itself is not at hand."
)
@pass_session
def dataplane_token(session: Session, token_file: str | None, id_: str | None) -> None:
    """Have a dataplane token refused from now on, and the streams end that were let in with it.

    The token itself never stands on the command line, where others could read it.
    """
    _revoke(session, "dataplane token", token_file, id_)


@revoke.command("user-token", short_help="Have a user's token refused from now on.")
@click.option("--token-file", metavar="FILE|-", help="File that holds the token; - is standard input.")
@click.option(
    "--id", "id_", metavar="ID", help="The token's id, its jti, where the token itself is not at hand."
)
@pass_session
def user_token(session: Session, token_file: str | None, id_: str | None) -> None:
    """Have a user's token refused from now on, by every control plane."""
    _revoke(session, USER_TOKEN, token_file, id_)


def _revoke(session: Session, what: str, token_file: str | None, id_: str | None) -> None:
    from kuma_core.kumactl import token_client

    if bool(token_file) == bool(id_):
        raise KumaError("give either --token-file or --id")
    request = {"token": _token(token_file)} if token_file else {"id": id_}
    answer = token_client.ask(
        session,
        f"failed to revoke the {what}",
        "POST",
        token_client.REVOCATIONS,
        request,
        of_users=what == USER_TOKEN,
    )
    click.echo(_words(answer, what))


def _words(answer: dict[str, Any], what: str) -> str:
    from kuma_core.kumactl.client import known_shape
    from kuma_core.visible import printable

    with known_shape("the admin server"):
        whose = f' of "{answer["name"]}" in mesh "{answer["mesh"]}"' if "name" in answer else ""
        if "user" in answer:
            what, whose = "user token", f' of "{answer["user"]}"'
        token = f'{what} "{answer["id"]}"{whose}'
        was_new = answer["result"] == "revoked"
    return printable(f"revoked {token}" if was_new else f"{token} was revoked already")


def _token(path: str) -> str:
    """The token in a file, without white space around it. Raises KumaError."""
    from kuma_core.kumactl.files import bounded_text

    text = bounded_text(path, "token file", MAX_TOKEN, "holds no token", stdin=True)
    if not text.strip():
        raise KumaError(f'could not read the token file: "{path}" is empty')
    return text.strip()
