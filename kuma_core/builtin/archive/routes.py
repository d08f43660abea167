"""``/secrets/export`` and ``/secrets/import``: all secrets into an archive, and back into a store.

They cross the wire encrypted with the operator's passphrase. It stands in the body; nobody keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import falcon
import structlog

from kuma_core.api.audit import asked, wrote
from kuma_core.api.exchange import answer_json, read_body
from kuma_core.builtin.archive.archive import ArchivedSecret, check_passphrase, seal, unseal
from kuma_core.errors import AlreadyExists, Conflict, InvalidResource, MalformedResource, Violation
from kuma_core.resources.codec import read_json
from kuma_core.resources.contract import Result, Secret, Secrets

_log = structlog.get_logger("secrets")

MAX_REQUEST = 16 * 1024
MAX_IMPORT = 48 * 1024 * 1024
"""Bytes of the bodies."""

_MOST_NAMED = 10

Planned = tuple[ArchivedSecret, Secret | None]
"""A secret of an archive, and the one in its place."""


class ExportSecrets:
    """Encrypts every secret, or those of one mesh without what belongs to the control plane itself."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"passphrase", "mesh"?}`` gives ``{"archive", "secrets": [{"mesh", "name"}]}``."""
        req.context.title = "Could not export the secrets"
        body = read_json(read_body(req, MAX_REQUEST))
        passphrase, mesh = check_passphrase(body.get("passphrase")), _text(body, "mesh")
        found = [
            secret
            for secret in self._secrets.all(mesh or None)
            if not mesh or not self._secrets.is_own(secret)
        ]
        archive = seal([ArchivedSecret(s.mesh, s.name, s.value) for s in found], passphrase)
        _log.warning(
            "secrets were exported, encrypted with a passphrase", count=len(found), mesh=mesh or "all"
        )
        wrote(req, "exported", kind="secrets", mesh=mesh or "all", count=len(found))
        answer_json(resp, {"archive": archive, "secrets": [{"mesh": s.mesh, "name": s.name} for s in found]})
        resp.cache_control = ["no-store"]


class ImportSecrets:
    """Writes the secrets of an archive, all that are new or other than those that are there."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """``{"passphrase", "archive", "overwrite"?, "dryRun"?}`` gives what it did with each.

        400 without anything written if the archive does not open, or if ``overwrite`` is needed.
        """
        req.context.title = "Could not import the secrets"
        body = read_json(read_body(req, MAX_IMPORT))
        passphrase = check_passphrase(body.get("passphrase"))
        overwrite, dry_run = _flag(body, "overwrite"), _flag(body, "dryRun")
        planned = [self._planned(secret) for secret in unseal(body.get("archive"), passphrase)]
        if not overwrite:
            self._refuse_others(planned)
        if dry_run:
            asked(req)
        else:
            self._write(planned)
            results = [_result(*each).value for each in planned]
            counts = {each.value: results.count(each.value) for each in Result}
            wrote(req, "imported", kind="secrets", **counts)
        answer_json(
            resp, {"secrets": [_told(*each) for each in planned], "restart": self._needs_restart(planned)}
        )

    def _planned(self, archived: ArchivedSecret) -> Planned:
        """Of some of the control plane's own secrets, what is there stays in force beside what an older backup says."""
        current = self._secrets.find(archived.mesh, archived.name)
        kind = self._secrets.kind_of(archived.mesh, archived.name)
        if current and kind and kind.unite:
            archived = replace(archived, value=kind.unite(current.value, archived.value))
        return archived, current

    def _refuse_others(self, planned: Iterable[Planned]) -> None:
        others = [
            f"{archived.mesh}/{archived.name}"
            for archived, current in planned
            if _result(archived, current) is Result.UPDATED and not self._is_united(archived)
        ]
        if not others:
            return
        named = ", ".join(others[:_MOST_NAMED]) + ", …" * (len(others) > _MOST_NAMED)
        raise InvalidResource(
            [],
            details=f"{len(others)} of the secrets are there with other values, and nothing was written: {named}. "
            "A new control plane has made some of its own; kumactl import --overwrite replaces them, and what was "
            "signed with them is good no more",
        )

    def _is_united(self, archived: ArchivedSecret) -> bool:
        kind = self._secrets.kind_of(archived.mesh, archived.name)
        return kind is not None and kind.unite is not None

    def _needs_restart(self, planned: Iterable[Planned]) -> bool:
        """Whether a secret changes that a control plane reads at its start alone; it notices all others at once."""
        changed = (
            self._secrets.kind_of(archived.mesh, archived.name)
            for archived, current in planned
            if _result(archived, current) is not Result.UNCHANGED
        )
        return any(kind is not None and kind.read_at_start for kind in changed)

    def _write(self, planned: Sequence[Planned]) -> None:
        for archived, current in planned:
            try:
                if current is None:
                    self._secrets.create(archived.mesh, archived.name, archived.value)
                elif current.value != archived.value:
                    self._secrets.replace(current, archived.value)
            except AlreadyExists as error:
                raise Conflict(str(error)) from None
        done = [_result(*each).value for each in planned]
        _log.warning("secrets were imported", **{each.value: done.count(each.value) for each in Result})


def _result(archived: ArchivedSecret, current: Secret | None) -> Result:
    if current is None:
        return Result.CREATED
    return Result.UNCHANGED if current.value == archived.value else Result.UPDATED


def _told(archived: ArchivedSecret, current: Secret | None) -> dict[str, str]:
    result = _result(archived, current).value
    return {"mesh": archived.mesh, "name": archived.name, "result": result}


def _text(body: Mapping[str, Any], field: str) -> str:
    value = body.get(field)
    if value is None or isinstance(value, str):
        return value or ""
    raise _mistyped(field, "text")


def _flag(body: Mapping[str, Any], field: str) -> bool:
    value = body.get(field)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _mistyped(field, "true or false")


def _mistyped(field: str, expected: str) -> MalformedResource:
    return MalformedResource([Violation(field, f"expected {expected}")])
