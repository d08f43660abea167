"""One control plane for all pages about proxies: each module looks at the same shop, or has a mesh of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kuma_core.testing.platform import RunningPlatform

from ..support import gui_platform
from . import shop


@pytest.fixture(scope="package")
def cp() -> Iterator[RunningPlatform]:
    """A control plane with the GUI."""
    with gui_platform() as running:
        yield running


@pytest.fixture(scope="package")
def opened(cp: RunningPlatform) -> Iterator[shop.Shop]:
    """The shop in the mesh ``default``; who changes it changes it back."""
    with shop.opened(cp) as found:
        yield found
