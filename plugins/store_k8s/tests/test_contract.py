"""The store keeps the contract of every store, against a real API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from kuma_core.sdk import Store
from kuma_store_k8s.store import KubernetesStore
from tests.kube.cluster import Cluster

from .contract import KubernetesSuite
from .kinds import KINDS
from .places import client_for
from .real import empty, prepare

pytestmark = pytest.mark.kube


class TestKubernetesStore(KubernetesSuite):
    @pytest.fixture
    def outage(self, cluster: Cluster) -> Callable[[], AbstractContextManager[None]]:
        """A kill -9 of the API server."""
        return cluster.lost

    @pytest.fixture
    def store(self, cluster: Cluster) -> Iterator[Store]:
        prepare(cluster)
        empty(cluster)
        with client_for(cluster.kubeconfig) as client:
            store = KubernetesStore(client, "kuma-system", KINDS, self.BACKLOG)
            yield store
            store.close()

    @pytest.fixture
    def other(self, cluster: Cluster, store: Store) -> Iterator[Store]:  # type: ignore[override]
        with client_for(cluster.kubeconfig) as client:
            other = KubernetesStore(client, "kuma-system", KINDS, self.BACKLOG)
            yield other
            other.close()
