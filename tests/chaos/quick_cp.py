"""``kuma-cp`` with a fifth of its times, and with a part of the leader that never ceases to write.

python tests/chaos/quick_cp.py run
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import kuma_core.builtin
from kuma_core.builtin.cluster import components, feature
from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.plugin.contract import Component, Context
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.runtime import leadership

TIMES = (
    (feature, "LENGTH_SECONDS"),
    (leadership, "RENEW_SECONDS"),
    (leadership, "MARGIN_SECONDS"),
    (components, "BEAT_SECONDS"),
    (components, "DEAD_SECONDS"),
    (components, "LOOK_SECONDS"),
)
WRITTEN = "Written"


class Busy:
    """Stores a record, named after its control plane, twenty times a second; it looks at ``stop`` before it sleeps."""

    name, leader_only = "busy", True

    def __init__(self, context: Context) -> None:
        self._store, self._own_id = context.store, context.instance_id

    def run(self, stop: Stop) -> None:
        while not stop.is_set():
            time.sleep(0.05)
            with suppress(KumaError):
                self._store.create(ResourceKey(WRITTEN, "", f"{self._own_id}-{time.monotonic_ns()}"), "{}")


class BusyFeature:
    """A feature of one part."""

    @staticmethod
    @hookimpl
    def kuma_register_components(context: Context) -> Iterable[Component]:
        return [Busy(context)]


def main() -> Any:
    """Change the times, add the part, and be ``kuma-cp``."""
    for module, name in TIMES:
        setattr(module, name, getattr(module, name) / 5)
    features: Any = {**kuma_core.builtin.FEATURES, "busy": BusyFeature}
    kuma_core.builtin.FEATURES = MappingProxyType(features)
    from kuma_core.runtime.kuma_cp import main as kuma_cp

    return kuma_cp()


if __name__ == "__main__":
    main()
