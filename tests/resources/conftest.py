"""What the tests of resources share: a store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.config import Config
from kuma_core.resources.contract import Store


@pytest.fixture
def store() -> Iterator[Store]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as opened:
        yield opened
