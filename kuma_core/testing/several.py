"""Several control planes of one process over one store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kuma_core.config import Config
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.resources.contract import Store, StoreFactory


class SharedStore:
    """A plugin with one store, under the name ``memory``, for every control plane that is given it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @hookimpl
    def kuma_register_stores(self) -> list[StoreFactory]:
        """The factory hands out the same store each time, and never closes it."""

        @contextmanager
        def opened(config: Config) -> Iterator[Store]:
            yield self.store

        return [StoreFactory("memory", opened)]
