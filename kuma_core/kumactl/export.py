"""``kumactl export``: everything that an operator owns, in one file, in the same order each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from kuma_core.errors import KumaError
from kuma_core.kumactl.session import Session, pass_session, warn
from kuma_core.model import Scope

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client
    from kuma_core.kumactl.kinds import Kind, ServedKinds

MESH = "Mesh"
PAGE = 1000
_ATTEMPTS = 5
"""How often a list is read anew that others change while its pages are read."""

_WITHOUT_SECRETS = """\
This file lacks the secrets of the control plane: the roots of the builtin authority, the certificates that were
provided, the keys that sign dataplane tokens, the tokens that were revoked, and the root of the control plane's own
TLS. Where it is imported, meshes get new roots and every proxy a new identity; provided certificates have to be
uploaded, tokens to be made anew, and revoked ones revoked again. """
_TAKE_THEM_ALONG = """\
To take them along:
kumactl export --with-secrets --passphrase-file FILE"""
_WITH_SECRETS = """\
The last document holds the secrets of the control plane, encrypted with the passphrase: without it they are lost."""
_ONE_MESH = """\
This file holds one mesh alone. What belongs to the control plane is not in it: the keys that sign dataplane tokens,
revoked tokens, the root of its own TLS, resources without a mesh, and other meshes."""


@click.command("export", short_help="Export all resources, and the secrets too, into a file.")
@click.option("-o", "--output-file", metavar="FILE", help="Where it goes. [default: standard output]")
@click.option("--with-secrets", is_flag=True, help="Take the secrets along, encrypted with a passphrase.")
@click.option("--passphrase-file", metavar="FILE", help="The file with the passphrase.")
@click.option("--without-hidden", is_flag=True, help="Leave out resources that no loaded plugin brings.")
@pass_session
def export(
    session: Session,
    output_file: str | None,
    with_secrets: bool,
    passphrase_file: str | None,
    without_hidden: bool,
) -> None:
    """Write everything that an operator owns as YAML documents: all meshes and what is in them, or the mesh of --mesh.

    What the control plane writes itself, such as insights, is left out. Two exports of the same state are equal,
    byte for byte, but for encrypted secrets. Secrets are asked of the admin server.
    """
    if with_secrets != bool(passphrase_file):
        raise KumaError("--with-secrets and --passphrase-file belong together: give both, or none")
    from kuma_core.kumactl import export_file, kinds, secrets_client

    passphrase = export_file.passphrase(passphrase_file) if passphrase_file else ""
    client, mesh = session.client(), session.mesh_flag
    known = kinds.fetch(client)
    if with_secrets and known.older:
        raise KumaError(f"{known.older} hands out no secrets; leave --with-secrets and --passphrase-file out")
    if known.hidden and not without_hidden:
        raise KumaError(_hidden(known.hidden))
    resources = list(_resources(client, known, mesh))
    archive, count = secrets_client.export(session, passphrase, mesh) if with_secrets else (None, 0)
    about = _WITH_SECRETS if with_secrets else _without_secrets(known)
    if not with_secrets:
        warn(about)
    _write(export_file.compose(resources, archive, f"{_ONE_MESH}\n{about}" if mesh else about), output_file)
    if output_file:
        secrets = f" and {count} secrets" if with_secrets else ""
        click.echo(f"exported {len(resources)} resources{secrets} to {output_file}")


def _hidden(told: Sequence[str]) -> str:
    return (
        "the control plane stores resources that it cannot show, as it does not load their plugins: "
        f"{'; '.join(told)}. Start it with these plugins, or export everything else with --without-hidden"
    )


def _without_secrets(kinds: ServedKinds) -> str:
    return _WITHOUT_SECRETS + ("Kuma 0.3 hands them out to nobody." if kinds.older else _TAKE_THEM_ALONG)


def _write(text: str, path: str | None) -> None:
    """For its owner alone: even without secrets it tells where everything is."""
    if not path:
        click.echo(text, nl=False)
        return
    from kuma_core.kumactl import files

    try:
        files.replace(path, text.encode(), 0o600)
    except (OSError, ValueError) as error:
        raise KumaError(f'cannot write "{path}": {files.reason(error)}') from None


def _resources(client: Client, known: ServedKinds, mesh: str | None) -> Iterator[dict[str, Any]]:
    """Meshes, other global resources, then what is in each mesh; each by kind and by name."""
    kinds = sorted(
        (kind for kind in known if not (kind.read_only or kind.status)),
        key=lambda kind: (kind.name != MESH, kind.name),
    )
    meshes = list(_meshes(client, kinds, mesh))
    yield from meshes
    if mesh is None:
        for kind in kinds:
            if kind.scope is Scope.GLOBAL and kind.name != MESH:
                yield from _collection(client, kind, "")
    for found in meshes:
        for kind in kinds:
            if kind.scope is Scope.MESH:
                yield from _collection(client, kind, found["name"])


def _meshes(client: Client, kinds: Iterable[Kind], name: str | None) -> Sequence[dict[str, Any]]:
    from kuma_core.kumactl.client import ApiError

    kind = next((kind for kind in kinds if kind.name == MESH), None)
    if kind is None:
        raise KumaError(f"{client.url} knows no meshes; is it a control plane?")
    if name is None:
        return _collection(client, kind, "")
    try:
        return [client.get(kind.path_of("", name))]
    except ApiError as error:
        raise kind.missing("", name) if error.status == 404 else error from None


def _collection(client: Client, kind: Kind, mesh: str) -> list[dict[str, Any]]:
    """All items of a kind, by name, read page by page."""
    for _ in range(_ATTEMPTS):
        items, totals = _pages(client, kind, mesh)
        names = {str(item.get("name")) for item in items}
        if len(totals) == 1 and len(names) == len(items) and totals <= {None, len(items)}:
            return sorted(items, key=lambda item: str(item.get("name")))
    raise KumaError(f"the list of {kind.path} changes all the time; try again when less is written")


def _pages(client: Client, kind: Kind, mesh: str) -> tuple[list[dict[str, Any]], set[Any]]:
    """The items of all pages, and every total that was told; None by a server without pages."""
    from kuma_core.kumactl.lists import fetch_items

    items: list[dict[str, Any]] = []
    totals: set[Any] = set()
    while True:
        query = [("size", str(PAGE)), ("offset", str(len(items)))]
        value = fetch_items(client, kind.path_of(mesh), f"failed to list {kind.name} resources", query)
        items += value["items"]
        totals.add(value.get("total"))
        if not value.get("next") or not value["items"]:
            return items, totals
