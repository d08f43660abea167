"""The double of the API server keeps the same contract as the real one, so that what is tested on it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from kuma_core.sdk import Store
from kuma_store_k8s.store import KubernetesStore

from .contract import KubernetesSuite
from .doubleserver import Served
from .kinds import KINDS
from .places import client_for, doubled


class TestKubernetesStore(KubernetesSuite):
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[Served]:
        with doubled(tmp_path) as served:
            yield served

    @pytest.fixture
    def outage(self, served: Served) -> Callable[[], AbstractContextManager[None]]:
        return served.lost

    @pytest.fixture
    def store(self, served: Served) -> Iterator[Store]:
        with client_for(served.kubeconfig) as client:
            store = KubernetesStore(client, "kuma-system", KINDS, self.BACKLOG)
            yield store
            store.close()

    @pytest.fixture
    def other(self, served: Served, store: Store) -> Iterator[Store]:  # type: ignore[override]
        with client_for(served.kubeconfig) as client:
            other = KubernetesStore(client, "kuma-system", KINDS, self.BACKLOG)
            yield other
            other.close()
