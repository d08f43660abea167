"""Lets proxies without a credential have their configuration, for as long as their mesh has no mTLS."""

from __future__ import annotations

from collections.abc import Callable

from kuma_core.auth.contract import Proof, Unauthenticated
from kuma_core.errors import NotFound
from kuma_core.specs.mesh import MeshSpec
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.doors import Recognised

NEEDED = (
    'authentication failed: no token is shown, and the mesh "{}" has mTLS, for which every proxy proves who it is: '
    "mount the token of the Pod's ServiceAccount"
)


class PlainMeshes:
    """``known`` gives a Mesh by name from memory, for whoever comes may name any; ``None`` if it knows none."""

    def __init__(self, known: Callable[[str], MeshSpec | None]) -> None:
        self._known = known

    def recognised(self) -> Recognised[Proxy]:
        """What a stream without a credential is good for: any proxy of a mesh without mTLS, until that has it."""
        mine: list[Proxy] = []

        def allow(proxy: Proxy) -> bool:
            mine.append(proxy)  # before the question: the mesh may change meanwhile
            if self._known(proxy.mesh) is None:
                raise NotFound(f'there is no Mesh "{proxy.mesh}"')
            confirm()
            return False

        def confirm() -> None:
            for proxy in mine:
                mesh = self._known(proxy.mesh)
                if mesh is not None and mesh.is_encrypted():
                    raise Unauthenticated(NEEDED.format(proxy.mesh))

        return Recognised(Proof("none", confirm=confirm), allow, is_anyone=True)
