"""The control planes that run over one store: each keeps a record of itself alive (architecture, 4)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kuma_core import __version__
from kuma_core.errors import NotFound
from kuma_core.resources.cluster import INSTANCE
from kuma_core.resources.manager import ResourceManager, Result
from kuma_core.specs.cluster import InstanceSpec


class Instances:
    """This instance's own record, and what the others say of themselves. Safe for use from several threads."""

    def __init__(self, resources: ResourceManager, own_id: str) -> None:
        self.own_id = own_id
        self._resources = resources
        self._key = INSTANCE.key("", own_id)
        self._guard = threading.Lock()
        self._settled: dict[str, str] = {}

    def beat(self) -> bool:
        """Say that this instance lives; whether its record was there. Raises ``StoreUnavailable``."""
        with self._guard:
            settled = dict(self._settled)

        def beaten(spec: Any) -> InstanceSpec:
            return InstanceSpec(beats=spec.beats + 1 if spec else 1, version=__version__, settled=settled)

        return self._resources.amend(self._key, beaten).result is not Result.CREATED

    def settle(self, mesh: str, stage: str) -> None:
        """Tell that all proxies here have acknowledged a stage of a rotation; ``""`` forgets the mesh."""
        with self._guard:
            known = dict(self._settled)
            self._settled.pop(mesh, None)
            if stage:
                self._settled[mesh] = stage
            changed = known != self._settled
        if changed:
            self.beat()

    def leave(self) -> None:
        """Remove this instance's record: it ends in an orderly way."""
        self.remove(self.own_id)

    def remove(self, instance: str) -> None:
        """Remove the record of an instance, if it is there."""
        with suppress(NotFound):
            self._resources.delete(INSTANCE.key("", instance))

    def all(self) -> Mapping[str, InstanceSpec]:
        """The records that are there, by instance id; one of a killed instance stays until it expires."""
        return {resource.name: resource.spec for resource in self._resources.list(INSTANCE.name)}
