"""``kumactl manage ca provided``: the certificates with which the provided authority of a mesh signs."""

from __future__ import annotations

import json
from urllib.parse import quote

import click

from kuma_core.sdk import KumaError
from kuma_core.sdk.kumactl import (
    Group,
    Session,
    admin_client,
    bounded_text,
    item_path,
    layout,
    pass_session,
    printable,
)

MAX_PEM = 1024 * 1024
"""Bytes of a file with a key or with certificates."""


@click.group("provided", cls=Group)
def provided() -> None:
    """Manage the CA whose key and certificate you provide."""


@provided.group("certificates", short_help="Manage the signing certificates of the provided CA.")
def certificates() -> None:
    """Manage the signing certificates of the provided CA."""


@certificates.command("add", short_help="Add a signing certificate and its key.")
@click.option("--key-file", required=True, metavar="FILE", help="The private key, PEM.")
@click.option("--cert-file", required=True, metavar="FILE", help="The certificate, PEM.")
@pass_session
def add(session: Session, key_file: str, cert_file: str) -> None:
    """Give a mesh the key and the certificate with which its provided CA signs."""
    pair = {
        name: bounded_text(path, f"{name} file", MAX_PEM, "is not PEM")
        for name, path in (("key", key_file), ("cert", cert_file))
    }
    answer = admin_client(session).send("POST", _path(session.mesh), pair)
    try:
        entry = json.loads(answer.body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KumaError("the admin server took the certificate, but did not answer with its id") from None
    click.echo(f'added certificate "{printable(str(entry))}"')


@certificates.command("list", short_help="List the signing certificates.")
@pass_session
def list_(session: Session) -> None:
    """List the signing certificates of a mesh; keys are never shown."""
    from kuma_ca_provided.rows import HEADER, row

    answer = admin_client(session).send("GET", _path(session.mesh))
    try:
        entries = json.loads(answer.body)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KumaError("the admin server did not answer with a list of certificates")
    click.echo(layout(HEADER, [row(entry) for entry in entries]))


@certificates.command("delete", short_help="Delete a signing certificate.")
@click.option("--id", "id_", required=True, metavar="ID", help="Which one; the list shows it.")
@pass_session
def delete(session: Session, id_: str) -> None:
    """Delete a signing certificate of a mesh."""
    admin_client(session).send("DELETE", _path(session.mesh) + "/" + quote(id_, safe=""))
    click.echo(f'removed certificate "{id_}"')


def _path(mesh: str) -> str:
    return item_path(mesh, "ca") + "/provided/certificates"
