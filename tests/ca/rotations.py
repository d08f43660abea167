"""A mesh whose root is rotated, for the tests of rotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_store_memory.store import MemoryStore

from .support import builtin_ca, rotation

WEB, LEDGER = (dataplane(f"{name}-1", inbound("127.0.0.1:8080:80", name)) for name in ("web", "ledger"))
ENCRYPTED = mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}})


@contextmanager
def control_plane(
    store: MemoryStore | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[RunningPlatform]:
    """A control plane of a mesh with mutual TLS and two dataplanes, over a store of its own or the one given."""
    plugins = [SharedStore(store) if store else kuma_store_memory, kuma_ca_builtin]
    with running_platform(plugins, settings) as platform:
        platform.apply(ENCRYPTED, WEB, LEDGER)
        yield platform


def begin(cp: RunningPlatform, mesh: str = "default") -> str:
    """Begin a rotation; returns the certificate of the root that signed so far."""
    old = builtin_ca(cp).signer(mesh)
    answer = rotation(cp, "POST", mesh)
    assert answer.status == 200, answer
    return old


def settled(cp: RunningPlatform) -> bool:
    """Whether the control plane says that its proxies have acknowledged the stage that is on."""
    shown = rotation(cp).body["rotation"]["settled"]
    return bool(shown.get(cp.platform.instance_id))
