"""For all tests: which store they run on, and what hypothesis makes up.

``KUMA_TEST_STORE=postgres`` runs every control plane in-process on a database of its own. The tests stay as they are:
where they name the store in memory, they get PostgreSQL, empty as that one would be.

What hypothesis makes up is the same in every run, so that a change is judged by what it changes; ``make chaos`` gives
``--hypothesis-profile=random`` and looks further. No example has a deadline: machines are busy at times.

How much may be skipped is known to ``tests/skips.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from kuma_core.testing import platform

if TYPE_CHECKING:
    from plugins.store_postgres.tests.server import Server

pytest_plugins = ("tests.skips", "tests.kube.fixtures", "tests.node.fixtures")

settings.register_profile("same", deadline=None, database=None, derandomize=True)
settings.register_profile("random", deadline=None, database=None, print_blob=True)
settings.load_profile("same")

STORE = os.environ.get("KUMA_TEST_STORE", "memory")


@pytest.fixture(scope="session", autouse=True)
def _store_of_all_platforms() -> Iterator[None]:
    if STORE == "memory":
        yield
        return
    assert STORE == "postgres", f'KUMA_TEST_STORE is "{STORE}"; it may be memory or postgres'
    from plugins.store_postgres.tests.server import any_server, with_template

    with any_server() as running, with_template(running) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "around", lambda parts: _on_postgres(server, parts))
        yield


@contextmanager
def _on_postgres(server: Server, parts: platform.Parts) -> Iterator[platform.Parts]:
    import kuma_store_memory
    import kuma_store_postgres

    plugins, settings = parts
    if kuma_store_memory not in plugins:
        yield parts
        return
    plugins = [kuma_store_postgres if item is kuma_store_memory else item for item in plugins]
    with server.database(server.template) as name:
        yield plugins, {**settings, **server.environ(name)}
