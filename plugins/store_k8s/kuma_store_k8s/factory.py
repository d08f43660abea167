"""How the kernel gets at the store, without importing what it needs before it is used."""

from __future__ import annotations

from contextlib import AbstractContextManager

from kuma_core.sdk import Config, Store, StoreFactory


def _open(config: Config) -> AbstractContextManager[Store]:
    from kuma_store_k8s.opening import open_store

    return open_store(config)


FACTORY = StoreFactory("kubernetes", _open)
