"""One control plane for each module, and a mesh of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """A control plane with the memory store; it must still be well when its tests are over."""
    with running_platform([kuma_store_memory]) as platform:
        yield platform
        assert platform.request("GET", "/ready", port=platform.diagnostics).status == 200


@pytest.fixture
def shop(cp: RunningPlatform) -> str:
    """The name of a new mesh."""
    name = f"shop-{next(_numbers)}"
    cp.apply(mesh(name))
    return name
