"""What kumactl prints is compared here; the control planes of these tests log past it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kuma_core.testing.logged import logged_elsewhere


@pytest.fixture(scope="module", autouse=True)
def log_elsewhere() -> Iterator[None]:
    """What a control plane in this process logs stands beside what kumactl prints, not between."""
    with logged_elsewhere():
        yield
