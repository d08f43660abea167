"""``GET /meshes/{mesh}/authority``: who signs in a mesh, by which roots, and how far a rotation is. Never a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import falcon

from kuma_core.api.exchange import answer_json, begin
from kuma_core.builtin.rotation.rotations import rotation_of
from kuma_core.builtin.rotation.settled import Settled
from kuma_core.ca.contract import Authorities, Authority, SigningCaProvider
from kuma_core.ca.ends import told
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Resources
from kuma_core.specs.fields import format_timestamp
from kuma_core.specs.mesh import MESH
from kuma_core.xds.contract import Identities

MOST_NAMES = 20
"""How many proxies are named that a stage waits for."""


class MeshAuthority:
    """What anybody may know of the authority of a mesh."""

    def __init__(
        self, resources: Resources, authorities: Authorities, settled: Settled, proxies: Identities
    ) -> None:
        self._resources, self._authorities = resources, authorities
        self._settled, self._proxies = settled, proxies

    def on_get(self, req: falcon.Request, resp: falcon.Response, mesh: str) -> None:
        """``problem`` says why the authority does not tell; 404 for an unknown mesh."""
        begin(req, "Could not retrieve the authority of a mesh")
        spec = self._resources.get(ResourceKey(MESH, mesh, mesh)).spec
        answer = {"mesh": mesh, "encrypted": spec.is_encrypted(), "authority": spec.authority()}
        found: dict[str, Any] = {"roots": [], "rotation": None, "problem": ""}
        try:
            found.update(self._tell(mesh, self._authorities.of(spec)))
        except StoreUnavailable:
            raise
        except (
            KumaError
        ) as error:  # a remote authority may be away, and the rest of the page is true all the same
            found["problem"] = str(error)
        answer_json(resp, {**answer, **found})

    def _tell(self, mesh: str, authority: Authority | None) -> Iterator[tuple[str, Any]]:
        if authority is None:
            yield "problem", "no loaded plugin brings this authority: no proxy of the mesh gets a certificate"
            return
        yield "roots", list(_roots(mesh, authority))
        rotation = rotation_of(authority, mesh)
        if rotation:
            about = {"id": rotation.id, "stage": rotation.stage.value, "since": rotation.since}
            settled = dict(self._settled.by_instance(mesh, rotation.id))
            yield "rotation", {**about, "settled": settled, "behind": self._behind(mesh)}

    def _behind(self, mesh: str) -> dict[str, Any]:
        """The proxies connected to this control plane that have not acknowledged the stage."""
        names = sorted({str(proxy).removeprefix(f"{mesh}.") for proxy in self._proxies.behind(mesh)})
        return {"count": len(names), "names": names[:MOST_NAMES]}


def _roots(mesh: str, authority: Authority) -> Iterator[dict[str, Any]]:
    """Each trust anchor; ``signs`` is ``None`` where the authority does not tell which one does."""
    provider, signing = authority.provider, None
    if isinstance(provider, SigningCaProvider):
        signing = {one.sha256 for one in told([authority.call("signer", lambda: provider.signer(mesh))])}
    for one in told(authority.trust_anchors(mesh)):
        yield {
            "sha256": one.sha256,
            "subject": one.subject,
            "notBefore": format_timestamp(one.begins),
            "notAfter": format_timestamp(one.ends),
            "signs": one.sha256 in signing if signing is not None else None,
        }
