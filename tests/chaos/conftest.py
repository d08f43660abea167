"""A PostgreSQL that may be killed, with an empty database for each test, and an end for every process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plugins.store_postgres.tests.server import OwnServer, own_server, with_template

from .support import ControlPlane


@pytest.fixture(scope="session")
def server() -> Iterator[OwnServer]:
    with own_server() as running, with_template(running):
        yield running


@pytest.fixture
def database(server: OwnServer) -> Iterator[str]:
    with server.database(server.template) as name:
        yield name


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.fixture
def cp(server: OwnServer, database: str, tmp_path: Path, stack: ExitStack) -> ControlPlane:
    """One control plane, which serves."""
    cp = ControlPlane(tmp_path, stack, server.environ(database))
    cp.start()
    return cp
