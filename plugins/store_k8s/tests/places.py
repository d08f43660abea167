"""Doubles of the API server with the kinds that tests use, and clients for them as the control plane makes its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kuma_store_k8s.client import ApiClient, connect
from kuma_store_k8s.names import GROUP, KubeKind

from .double import ApiDouble
from .doubleserver import Served, served
from .kinds import KINDS


def double_of(kinds: Iterable[KubeKind] = KINDS) -> ApiDouble:
    """An empty double with these kinds, Secrets and Leases."""
    custom = [f"{GROUP}/{kind.plural}" for kind in kinds]
    return ApiDouble([*custom, "/secrets", "coordination.k8s.io/leases"])


@contextmanager
def doubled(folder: Path, kinds: Iterable[KubeKind] = KINDS) -> Iterator[Served]:
    """An empty double on a port."""
    with served(double_of(kinds), folder) as running:
        yield running


@contextmanager
def client_for(kubeconfig: Path) -> Iterator[ApiClient]:
    """A client as the control plane makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "KUBECONFIG", str(kubeconfig))
        client = connect()
    yield client
    client.close()
