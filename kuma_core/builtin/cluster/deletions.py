"""The deletion of a mesh takes many steps: who begins writes a record first, and who finds the record finishes them.

The record is a lease of the one that deletes, so that two never sweep the same mesh, and none sweeps a mesh that
somebody created anew meanwhile. Nobody sweeps without such a record.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress

from kuma_core.builtin.cluster.kinds import MESH_DELETION
from kuma_core.builtin.cluster.leases import Lease
from kuma_core.errors import Busy, KumaError, NotFound
from kuma_core.model import ResourceKey, not_found
from kuma_core.resources.contract import Store

LENGTH_SECONDS = 10.0
"""How long a deletion may stand still before somebody else finishes it."""
PATIENCE_SECONDS = LENGTH_SECONDS + 5.0
LOOK_SECONDS = 0.05

Owned = Callable[[str], Iterable[ResourceKey]]
"""The keys of all that goes with a mesh."""
Wait = Callable[[float], bool | None]
"""Waits for some seconds; ``True`` asks for the end."""


class MeshDeletions:
    """Begins and finishes deletions. Safe for use from several threads and by several control planes at once.

    ``kind`` is the name of the kind of meshes.
    """

    def __init__(self, store: Store, kind: str, owned: Owned) -> None:
        self._store = store
        self._kind = kind
        self._owned = owned

    def run(self, key: ResourceKey) -> None:
        """Delete a mesh and what it owns. Raises ``NotFound`` if it is not there, after it finished what another began.

        Raises ``Busy`` if somebody else is at it and does not end.
        """
        lease = self._lease(key.name)
        if not lease.exists():
            self._store.get(key)  # raises, so that no record begins the deletion of a mesh that is not there
        _until(lease.hold, key.name, time.sleep)
        if not self._complete(key.name, lease, time.sleep):
            raise not_found(key)

    def finish(self, mesh: str, wait: Wait = time.sleep) -> None:
        """Finish the deletion of a mesh that somebody began, or wait until the one who is at it has.

        ``wait`` may end it early by saying ``True``. Raises ``Busy`` as ``run`` does.
        """
        lease = self._lease(mesh)
        _until(lambda: lease.hold(create=False) or not lease.exists(), mesh, wait)
        if lease.left() > 0:
            self._complete(mesh, lease, wait)

    def pending(self) -> list[str]:
        """The meshes whose deletion somebody began and nobody finished."""
        return [record.key.name for record in self._store.list(MESH_DELETION.name)]

    def _lease(self, mesh: str) -> Lease:
        return Lease(self._store, MESH_DELETION, mesh, str(uuid.uuid4()), LENGTH_SECONDS)

    def _complete(self, mesh: str, lease: Lease, wait: Wait) -> bool:
        """Delete the mesh, and sweep if that is ours to do; whether the mesh was there.

        Where it was not, and nobody had begun before, another deletion was faster: what is there now belongs to a
        mesh that is being created.
        """
        try:
            found = self._delete(ResourceKey(self._kind, mesh, mesh))
            if not (found or lease.inherited) or self._sweep(mesh, lease, wait):
                lease.remove()
            return found
        except KumaError:
            with suppress(KumaError):  # so that nobody has to wait; the record stays
                lease.give_back()
            raise

    def _delete(self, key: ResourceKey) -> bool:
        try:
            self._store.delete(key)
        except NotFound:
            return False
        return True

    def _sweep(self, mesh: str, lease: Lease, wait: Wait) -> bool:
        for key in self._owned(mesh):
            if wait(0):
                return False
            if lease.left() < LENGTH_SECONDS / 2 and not lease.hold(create=False):
                raise _busy(mesh)  # we stood still for so long that another one took the deletion over
            self._delete(key)
        return True


def _until(done: Callable[[], bool], mesh: str, wait: Wait) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if wait(LOOK_SECONDS):
            return
        if time.monotonic() > deadline:
            raise _busy(mesh)


def _busy(mesh: str) -> Busy:
    return Busy(f'the mesh "{mesh}" is being deleted by another request; try again in a few seconds')
