"""One server for all tests that leave it running, and one for those that do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kumactl.conftest import home, kumactl

from .server import OwnServer, Server, any_server, own_server, with_template

__all__ = ["database", "home", "kumactl", "mortal_database", "mortal_server", "server"]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that stays up; ``template`` names a database with the whole schema and no rows."""
    with any_server() as running, with_template(running) as prepared:
        yield prepared


@pytest.fixture(scope="session")
def mortal_server() -> Iterator[OwnServer]:
    """A server that tests kill; each starts it again before it ends."""
    with own_server() as running, with_template(running):
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """An empty database with the schema."""
    with server.database(server.template) as name:
        yield name


@pytest.fixture
def mortal_database(mortal_server: OwnServer) -> Iterator[str]:
    """An empty database with the schema, on the server that may be killed."""
    with mortal_server.database(mortal_server.template) as name:
        yield name
