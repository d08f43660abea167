"""Upload, list and delete the certificate of a mesh on the admin server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import falcon

from kuma_ca_provided.certificates import SigningCertificate, SigningCertificates
from kuma_ca_provided.checks import checked_pair
from kuma_core.sdk import Context, InvalidResource, NotFound, ResourceKey, Resources, Right, Route, Violation
from kuma_core.sdk.http import answer_json, begin, read_body, read_json

PATH = "/meshes/{mesh}/ca/provided/certificates"
MAX_BODY_BYTES = 64 * 1024
IN_USE = "Cannot delete signing certificate when the mTLS in the mesh is active and type of CA is Provided"

_NAME = re.compile(r"[0-9a-z_-]{1,253}", re.ASCII)
"""What a mesh may be called: nothing is kept for one that can never be."""


def routes(context: Context) -> list[Route]:
    """They are there in every environment; the mesh need not be."""
    certificates = SigningCertificates(context.secrets)
    return [
        Route(PATH, Collection(certificates), right=Right.ADMIN),
        Route(PATH + "/{id}", Item(certificates, context.resources), right=Right.ADMIN),
    ]


class Collection:
    """The certificates of a mesh, of which there is at most one."""

    def __init__(self, certificates: SigningCertificates) -> None:
        self._certificates = certificates

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """Ids and certificates, never keys; 404 if the mesh never had any."""
        begin(req, "Could not retrieve signing certs")
        found = self._certificates.find(mesh)
        if found is None:
            raise NotFound(f'nothing was uploaded for the mesh "{mesh}"')
        answer_json(resp, [_shown(entry) for entry in found[1]])

    def on_post(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """Keep a pair ``{"key", "cert"}`` in PEM; 400 if it cannot sign, or if there is one already."""
        begin(req, "Could not process the key pair")
        body = read_json(read_body(req, MAX_BODY_BYTES))
        req.context.title = "Could not add signing cert"
        _require_name(mesh)
        added = self._certificates.add(mesh, *checked_pair(*_texts(body)))
        answer_json(resp, _shown(added))


class Item:
    """One certificate of a mesh."""

    def __init__(self, certificates: SigningCertificates, resources: Resources) -> None:
        self._certificates = certificates
        self._resources = resources

    def on_delete(self, req: falcon.Request, resp: falcon.Response, mesh: str, id: str) -> None:
        """Forget it, unless the mesh works with it; 404 if there is no such certificate."""
        begin(req, "Could not delete signing cert")
        found = self._certificates.find(mesh)
        if found and id in [entry.id for entry in found[1]] and self._is_used(mesh):
            raise InvalidResource([], details=IN_USE)
        self._certificates.delete(mesh, id)

    def _is_used(self, mesh: str) -> bool:
        resource = self._resources.find(ResourceKey("Mesh", mesh, mesh))
        return bool(resource and resource.spec.is_encrypted() and resource.spec.authority() == "provided")


def _require_name(mesh: str) -> None:
    if not _NAME.fullmatch(mesh):
        text = "at most 253 numbers, lowercase latin letters and '-', '_' symbols are a name"
        raise InvalidResource([Violation("mesh", text)])


def _texts(body: Mapping[str, Any]) -> tuple[str, str]:
    """Certificate and key; raises ``InvalidResource`` that names ``cert`` before ``key``."""
    given = [body.get(field) for field in ("cert", "key")]
    problems = [
        Violation(field, "must not be empty" if value in (None, "") else "expected text")
        for field, value in zip(("cert", "key"), given, strict=True)
        if not (isinstance(value, str) and value)
    ]
    if problems:
        raise InvalidResource(problems)
    return str(given[0]), str(given[1])


def _shown(entry: SigningCertificate) -> dict[str, str]:
    return {"id": entry.id, "cert": entry.cert.decode("ascii")}
