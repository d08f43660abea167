"""A store in the memory of the control plane's process. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import StoreFactory, hookimpl


@hookimpl
def kuma_register_stores() -> Iterable[StoreFactory]:
    """Bring the store ``memory``."""
    from kuma_store_memory.store import open_store

    return [StoreFactory("memory", open_store)]
