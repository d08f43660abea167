"""``kumactl import``: what ``kumactl export`` wrote, checked as a whole before anything is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import tell
from kuma_core.errors import KumaError
from kuma_core.kumactl.session import Session, pass_session, warn
from kuma_core.model import Scope

if TYPE_CHECKING:
    from kuma_core.kumactl.apply import Planned
    from kuma_core.kumactl.client import Client
    from kuma_core.kumactl.export_file import Content
    from kuma_core.kumactl.secrets_client import Imported

MESH = "Mesh"
MOST_PROBLEMS = 20
RESULTS = ("created", "updated", "unchanged")
RESTART = "restart every control plane of this store: the root of its own TLS, which is read at start, is another one"


@click.command("import", short_help="Import what kumactl export wrote.")
@click.option("-f", "--file", "place", required=True, metavar="FILE|-", help="The file of kumactl export.")
@click.option("--passphrase-file", metavar="FILE", help="The file with the passphrase of its secrets.")
@click.option("--without-secrets", is_flag=True, help="Leave its secrets out.")
@click.option("--overwrite", is_flag=True, help="Replace secrets that are there with other values.")
@click.option("--dry-run", is_flag=True, help="Check all, say what would be done, and write nothing.")
@pass_session
def import_(
    session: Session,
    place: str,
    passphrase_file: str | None,
    without_secrets: bool,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Write the resources, and the secrets, of a file that kumactl export has made.

    All of it is checked first, by the control plane too. Then the secrets are written, the meshes, and what is in
    them. Resources are created or replaced as kumactl apply does; none is deleted.
    """
    from kuma_core.kumactl import export_file

    content = export_file.read(place)
    passphrase = _passphrase(content, place, passphrase_file, without_secrets)
    client = session.client()
    planned = _plan(content, client)
    secrets = _secrets(session, content, passphrase, overwrite, dry_run=True)
    results = _validate(planned, client)
    if not dry_run:
        secrets = _secrets(session, content, passphrase, overwrite, dry_run=False)
        results = _send(planned, client)
    _report(results, secrets, dry_run)
    if failed := results["failed"]:
        raise KumaError(f"{failed} of {len(planned)} resources could not be imported")


def _passphrase(content: Content, place: str, path: str | None, without_secrets: bool) -> str | None:
    """The passphrase, or None where no secrets are to be imported. Raises KumaError for flags that do not fit."""
    from kuma_core.kumactl import export_file

    if path and without_secrets:
        raise KumaError("--passphrase-file and --without-secrets exclude each other")
    if path and content.archive is None:
        raise KumaError(f"{place} holds no secrets; leave --passphrase-file out")
    if content.archive is not None and not (path or without_secrets):
        raise KumaError(
            f"{place} holds secrets: give --passphrase-file FILE, or leave them --without-secrets"
        )
    return export_file.passphrase(path) if path else None


def _plan(content: Content, client: Client) -> list[Planned]:
    """The resources in the order in which they can be written, each of a kind that the server has."""
    from kuma_core.kumactl import kinds as kinds_module
    from kuma_core.kumactl.apply import plan

    kinds = kinds_module.fetch(client)
    if kinds.older:
        raise KumaError(
            f"{kinds.older} takes no import, for it cannot check before it writes; use kumactl apply -f"
        )
    planned: dict[str, Planned] = {}
    problems = []
    for value, where in content.documents:
        try:
            resource = plan(value, kinds)
            if resource.path in planned:
                raise KumaError(f"{resource} is in the file twice")
            planned[resource.path] = resource
        except KumaError as error:
            problems.append(f"{where}: {error}")
    _refuse(problems)
    return sorted(planned.values(), key=lambda each: (each.kind.scope is Scope.MESH, each.kind.name != MESH))


def _validate(planned: Sequence[Planned], client: Client) -> Counter[str]:
    """What would be done, by result. Raises KumaError with all that the server refuses."""
    from kuma_core.kumactl.client import ApiError

    results: Counter[str] = Counter()
    problems = []
    for resource in planned:
        try:
            results[_tried(resource, client)["result"]] += 1
        except ApiError as error:
            problems.append(f"{resource}: {error}")
    _refuse(problems)
    return results


def _tried(resource: Planned, client: Client) -> dict[str, Any]:
    """What the server says that a write would do: ``result`` and ``warnings``. Raises as ``Client.get`` does."""
    from kuma_core.kumactl.client import known_shape

    answer = client.send("PUT", f"{resource.path}?dry-run=validate", resource.value)
    with known_shape(f"the dry run of {resource}"):
        value = json.loads(answer.body)
        return {"result": str(value["result"]), "warnings": [str(text) for text in value["warnings"]]}


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = [f"and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
        raise KumaError("\n".join(["nothing was imported:", *problems[:MOST_PROBLEMS], *more]))


def _secrets(
    session: Session, content: Content, passphrase: str | None, overwrite: bool, dry_run: bool
) -> Imported | None:
    if passphrase is None or content.archive is None:
        return None
    from kuma_core.kumactl import secrets_client

    return secrets_client.import_(session, passphrase, content.archive, overwrite, dry_run)


def _send(planned: Sequence[Planned], client: Client) -> Counter[str]:
    """Store each; what one fails at does not stop the next, unless the server is gone.

    A mesh is warned of at the end: before, it has no permissions yet.
    """
    from kuma_core.kumactl.client import ApiError, Unreachable

    results: Counter[str] = Counter()
    quiet = client.without_warnings()
    for done, resource in enumerate(planned):
        try:
            result = (quiet if resource.kind.name == MESH else client).put(resource.path, resource.value)
        except (ApiError, Unreachable) as error:
            tell(f"failed {resource}: {error}")
            if isinstance(error, Unreachable):
                results["failed"] += len(planned) - done
                return results
            result = "failed"
        results[result] += 1
        if result in ("created", "updated"):
            click.echo(f"{result} {resource}{_where(resource)}")
    with suppress(KumaError):  # all is written; what remains is only to be told
        _warn_of_meshes(planned, client)
    return results


def _warn_of_meshes(planned: Sequence[Planned], client: Client) -> None:
    from kuma_core.visible import printable

    for resource in planned:
        if resource.kind.name == MESH:
            for text in _tried(resource, client)["warnings"]:
                warn(f"{resource}: {printable(text)}")


def _where(resource: Planned) -> str:
    return f" in mesh {resource.value['mesh']}" if resource.kind.scope is Scope.MESH else ""


def _report(results: Mapping[str, int], secrets: Imported | None, dry_run: bool) -> None:
    verb = "would import" if dry_run else "imported"
    for what, counts in (("resources", results), ("secrets", secrets.counts if secrets else None)):
        if counts is not None:
            click.echo(f"{verb} {what}: {', '.join(f'{counts.get(each, 0)} {each}' for each in RESULTS)}")
    if secrets and secrets.needs_restart:
        click.echo(f"then {RESTART}" if dry_run else f"Now {RESTART}")
