"""What a store has to say of itself to its suite: fixtures, and the types, names and amounts that it can take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

import pytest

from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Store


class StoreParts:
    """What a subclass may override where its backend takes less than any name, or takes its time."""

    THING, OTHER, QUIET = "Thing", "Other", "Quiet"
    """Three types; the last is one that nobody watches."""

    NAMES = ("b", "a_1", "aa", "a-1", "a1", "a", "10", "9", "-", "_")
    MESHES = ("m_2", "m", "m-1")
    """Names to be sorted by code points, none of them in order."""

    DOCUMENTS: Mapping[str, str] = MappingProxyType(
        {
            "nothing": "{}",
            "spaces and order": '{ "b" : 1,  "a":\n2 }',
            "characters": '{"text":"Grüße 漢字 🚀 \\u0000 \\" \\\\","":{"":[]}}',
            "numbers": '{"whole":9223372036854775807,"negative":-1,"float":0.1,"exponent":1E3}',
            "words": '{"flags":[true,false],"nothing":null}',
            "depth": '{"a":{"b":[{"c":[[{"d":{}}]]}]}}',
            "300 kB": json.dumps({"long": "x" * 300_000}),
        }
    )
    """Documents by what is special about them; all are JSON objects, and no key is there twice in one."""

    EQUAL_IS_A_WRITE = True
    """Whether an update to an equal document is a write, with a version of its own, that watchers hear of."""

    UPDATES = 1000
    """How often each of the writers updates in the test of compare-and-set."""

    BACKLOG = 10_000
    """How many changes the store keeps for a watcher that is slow."""

    PATIENCE = 30.0
    """For how many seconds what a slow watcher is owed may be awaited."""

    def key(self, name: str, mesh: str = "default", type: str = "") -> ResourceKey:
        """A key of this name or one like it; ``THING`` is its type unless another one is named.

        Override it where the backend has rules for names. Different arguments have to give different keys.
        """
        return ResourceKey(type or self.THING, mesh, name)

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An open store that holds nothing. To be overridden."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def other(self, store: Store) -> Store:
        """The same content through another connection; override it where several processes share a store."""
        return store

    @pytest.fixture
    def outage(self, store: Store) -> Callable[[], AbstractContextManager[None]]:
        """``with outage():`` the backend cannot be reached; override it where there is one that can be lost."""
        pytest.skip("does not apply: this store has no backend that could be lost")
