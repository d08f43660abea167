"""``kumactl manage``: the certificate authorities of a mesh (specification of the command line, 7.8)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.session import Session, pass_session

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client

MAX_PEM = 1024 * 1024
"""Bytes of a file with a key or with certificates."""


@click.group("manage", cls=Group, short_help="Manage certificate authorities.")
def manage() -> None:
    """Manage certificate authorities."""


@manage.group("ca", short_help="Manage the certificate authorities of a mesh.")
def ca() -> None:
    """Manage the certificate authorities of a mesh."""


@ca.group("builtin", short_help="Manage the CA whose roots the control plane makes.")
def builtin() -> None:
    """Manage the CA whose roots the control plane makes."""


@builtin.command("rotate", short_help="Replace the root by a new one.")
@click.option("--wait", is_flag=True, help="Tell of each stage, and end when the old root is gone.")
@pass_session
def rotate(session: Session, wait: bool) -> None:
    """Have the control plane replace the root of a mesh, while everything goes on working.

    Without --wait the command ends at once; `status` shows how far it is.
    """
    from kuma_core.kumactl.client import json_object
    from kuma_core.kumactl.rotation import follow, read, roots

    client, path = _client(session), _rotations(session.mesh)
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
    from kuma_core.kumactl.rotation import HEADER, roots
    from kuma_core.kumactl.table import layout

    found = roots(_client(session), _rotations(session.mesh))
    click.echo(layout(HEADER, found.rows))
    click.echo(found.progress)


@ca.group("provided", short_help="Manage the CA whose certificate you provide.")
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
    from kuma_core.kumactl.files import bounded_text

    pair = {
        name: bounded_text(path, f"{name} file", MAX_PEM, "is not PEM")
        for name, path in (("key", key_file), ("cert", cert_file))
    }
    answer = _client(session).send("POST", _path(session.mesh), pair)
    try:
        entry = json.loads(answer.body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KumaError("the admin server took the certificate, but did not answer with its id") from None
    click.echo(f'added certificate "{_safe(str(entry))}"')


@certificates.command("list", short_help="List the signing certificates.")
@pass_session
def list_(session: Session) -> None:
    """List the signing certificates of a mesh; keys are never shown."""
    from kuma_core.kumactl.certificates import HEADER, row
    from kuma_core.kumactl.table import layout

    answer = _client(session).send("GET", _path(session.mesh))
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
    _client(session).send("DELETE", _path(session.mesh) + "/" + quote(id_, safe=""))
    click.echo(f'removed certificate "{id_}"')


def _client(session: Session) -> Client:
    from kuma_core.kumactl import admin

    return admin.connect(session, admin.catalog(session).admin)


def _path(mesh: str) -> str:
    from kuma_core.kumactl.client import item_path

    return item_path(mesh, "ca") + "/provided/certificates"


def _rotations(mesh: str) -> str:
    from kuma_core.kumactl.client import item_path

    return item_path(mesh, "ca") + "/builtin/rotations"


def _safe(text: Any) -> str:
    from kuma_core.http_client import printable

    return printable(text)
