"""The real cluster as the tests of the store want it."""

from __future__ import annotations

from contextlib import suppress

from kuma_store_k8s.crds import crds
from kuma_store_k8s.names import KubeKind
from tests.kube.cluster import Cluster, Refused

from .kinds import KINDS

SYSTEM = "kuma-system"


def prepare(cluster: Cluster) -> None:
    """Have the system namespace and the kinds there."""
    with suppress(Refused):
        cluster.create("/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    cluster.install(crds(KINDS))


def empty(cluster: Cluster, *more: KubeKind) -> None:
    """Remove every object of the kinds, and what the store keeps in the system namespace."""
    for kind in {*KINDS, *more}:
        namespaces = "/namespaces/default" if kind.is_namespaced else ""
        cluster.delete(f"/apis/kuma.io/v1alpha1{namespaces}/{kind.plural}")
    cluster.delete(f"/api/v1/namespaces/{SYSTEM}/secrets")
    cluster.delete(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases")
