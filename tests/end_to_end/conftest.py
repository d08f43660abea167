"""Fixtures for tests with real Envoys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core.testing import platform
from kuma_core.testing.platform import running_platform

from . import tuning
from .support import Machine


@pytest.fixture(scope="package", autouse=True)
def _endpoints_by_default() -> Iterator[None]:
    """Here are real sidecars: instances join and leave as they do for operators."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "AT_ONCE", {})
        yield


@pytest.fixture(params=["delta", "sotw"])
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(variant: str, tmp_path: Path) -> Iterator[Machine]:
    """A control plane whose proxies speak the variant, and a machine to run services and sidecars on."""
    settings = {"KUMA_XDS_SERVER_PROTOCOL": variant, "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    with running_platform([kuma_store_memory, tuning], settings) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)
