"""Begin a rotation of a mesh's root on the admin server, and see how far it is."""

from __future__ import annotations

from typing import Any

import falcon
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kuma_ca_builtin.authority import BuiltinCa
from kuma_ca_builtin.roots import Root
from kuma_core.sdk import Context, InvalidResource, ResourceKey, Right, Rotation, Route, SettledStages
from kuma_core.sdk.http import answer_json, begin

PATH = "/meshes/{mesh}/ca/builtin/rotations"


def routes(context: Context) -> list[Route]:
    """They are there in every environment."""
    return [Route(PATH, Rotations(BuiltinCa(context.secrets), context), right=Right.ADMIN)]


class Rotations:
    """The rotation of a mesh's root; at most one goes on."""

    def __init__(self, authority: BuiltinCa, context: Context) -> None:
        self._authority = authority
        self._resources = context.resources
        self._settled = context.ask("builtin.rotation", SettledStages)

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """The roots, never their keys, and the stage of a rotation; 404 for a mesh without roots."""
        begin(req, "Could not retrieve the roots")
        answer_json(resp, self._shown(mesh))

    def on_post(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """Begin; 400 while another one goes on or if the mesh has another authority, 404 for an unknown mesh."""
        begin(req, "Could not rotate the root")
        chosen = self._resources.get(ResourceKey("Mesh", mesh, mesh)).spec.authority()
        if chosen != "builtin":
            raise InvalidResource([], details=f'The authority of the mesh "{mesh}" is {chosen}, not builtin')
        self._authority.rotate(mesh)
        answer_json(resp, self._shown(mesh))

    def _shown(self, mesh: str) -> dict[str, Any]:
        kept = self._authority.kept(mesh)
        first, *others = map(_root, kept.roots)
        shown: dict[str, Any] = {"roots": [{**first, "signs": True}, *others]}
        if kept.rotation:
            shown["rotation"] = self._rotation(mesh, kept.rotation)
        return shown

    def _rotation(self, mesh: str, rotation: Rotation) -> dict[str, Any]:
        """``settled`` are the control planes all of whose proxies have acknowledged the stage."""
        settled = dict(self._settled.by_instance(mesh, rotation.id))
        about = {"id": rotation.id, "stage": rotation.stage.value, "since": rotation.since}
        return {**about, "settled": settled}


def _root(root: Root) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(root.cert)
    return {
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "notBefore": f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "signs": False,
    }
