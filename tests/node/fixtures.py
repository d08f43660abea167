"""One node for all tests of a run that want one; a plugin of pytest, so that it is one for every folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .assets import required
from .node import Node


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A cluster with a real node, and nothing in it."""
    running = Node(required(), tmp_path_factory.mktemp("node"))
    try:
        running.start()
        yield running
    finally:
        running.end()
