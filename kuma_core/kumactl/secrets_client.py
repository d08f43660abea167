"""Secrets to and from the admin server: they are encrypted there, with the passphrase that the request carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kuma_core.errors import KumaError
from kuma_core.kumactl.client import ApiError, json_object, known_shape
from kuma_core.kumactl.session import Session, warn

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client

TIMEOUT = 300.0
"""Seconds: a store may hold many secrets."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was done, or would be: how many secrets by ``created``, ``updated``, ``unchanged``."""

    counts: Mapping[str, int]
    needs_restart: bool


def export(session: Session, passphrase: str, mesh: str | None) -> tuple[dict[str, Any], int]:
    """The archive with the secrets, of one mesh if it is named, and how many are in it."""
    request = {"passphrase": passphrase} | ({"mesh": mesh} if mesh else {})
    answer = _ask(session, "/secrets/export", request)
    with known_shape("the admin server"):
        archive, count = answer["archive"], len(answer["secrets"])
        if not isinstance(archive, dict):
            raise TypeError
    return archive, count


def import_(
    session: Session, passphrase: str, archive: Mapping[str, Any], overwrite: bool, dry_run: bool
) -> Imported:
    """Write the secrets of an archive, or with ``dry_run`` see whether they could be."""
    request = {"passphrase": passphrase, "archive": archive, "overwrite": overwrite, "dryRun": dry_run}
    answer = _ask(session, "/secrets/import", request)
    with known_shape("the admin server"):
        results = [entry["result"] for entry in answer["secrets"]]
        counts = {result: results.count(result) for result in ("created", "updated", "unchanged")}
        return Imported(counts, answer["restart"] is True)


def _ask(session: Session, path: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = _client(session).send("POST", path, request)
    except ApiError as error:
        if error.status == 404:
            raise KumaError("this control plane is too old to export or import secrets; upgrade it") from None
        raise
    return json_object(answer.body) or {}


def _client(session: Session) -> Client:
    from kuma_core.kumactl import admin

    client = admin.connect(session, admin.catalog(session).admin, TIMEOUT, secrets=True)
    context = session.configuration.current
    if client.url.startswith("https:") and not (context and context.ca_cert):
        warn(
            f"kumactl does not verify the certificate of the admin server at {client.url}: whoever answers in its "
            "place gets the passphrase. Add the control plane with --admin-ca-cert FILE"
        )
    return client
