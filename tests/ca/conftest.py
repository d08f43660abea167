"""What the tests of rotations begin with; other tests here have control planes and times of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kuma_core.testing.platform import RunningPlatform

from .rotations import control_plane
from .support import shorten


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of rotations within seconds."""
    shorten(monkeypatch)


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    """A control plane of a mesh with mutual TLS and two dataplanes."""
    with control_plane() as platform:
        yield platform
