"""Deletes a record only as it was read; a store that cannot do that in one step looks before."""

from __future__ import annotations

from kuma_core.errors import Conflict
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import ExactStore, Store


def delete_exactly(store: Store, key: ResourceKey, version: str) -> None:
    """Remove a record that still has ``version``; raises ``Conflict`` if it has another, ``NotFound``."""
    if isinstance(store, ExactStore):
        store.delete_exactly(key, version)
        return
    if store.get(key).version != version:
        raise Conflict(f"the resource {key} was changed by somebody else")
    store.delete(key)
