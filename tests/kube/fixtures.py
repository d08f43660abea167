"""One cluster for all tests of a run that want one; a plugin of pytest, so that it is one for every folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from .assets import required
from .cluster import Cluster

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real Kubernetes; a test that kills a part of it starts it again."""
    running = Cluster(required(), tmp_path_factory.mktemp("kube"))
    try:
        running.start()
        yield running
    finally:
        running.end()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one test. It goes afterwards, and nobody waits for that."""
    name = f"test-{next(_numbers)}"
    cluster.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster.delete(f"/api/v1/namespaces/{name}")
