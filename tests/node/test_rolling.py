"""A new version of a service comes under load, and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kuma_core.testing.waiting import eventually

from .conftest import REFUSE, SECONDS, Mesh
from .load import Calls, calls
from .node import Node
from .pods import SYSTEM, crash, is_ready, name_of, pods

pytestmark = pytest.mark.node


def test_no_call_fails_in_a_rolling_update(mesh: Mesh) -> None:
    """The application ends at once when it is told to; calls go to others before."""
    with rolling_update(mesh.node):
        pass


@pytest.fixture
def strict(mesh: Mesh) -> Iterator[Mesh]:
    """The mesh, in which no Pod comes without a sidecar."""
    mesh.install(REFUSE)
    try:
        yield mesh
    finally:
        mesh.install()


@pytest.mark.parametrize("which", [0, pytest.param(1, marks=pytest.mark.chaos)])
def test_nor_while_a_control_plane_and_the_injector_are_killed(strict: Mesh, which: int) -> None:
    """Instances that come wait for the injector; those that leave wait for callers that lost their control plane."""
    node = strict.node
    old = _all(node)
    with rolling_update(node):
        eventually(lambda: _all(node) - old, SECONDS, "the first new Pod")
        (injector,) = pods(node, SYSTEM, "kuma-injector")
        crash(node, pods(node, SYSTEM, "kuma-control-plane")[which])
        crash(node, injector)
    eventually(lambda: strict.online() == strict.dataplanes(), SECONDS, "all proxies at a control plane")


@contextmanager
def rolling_update(node: Node) -> Iterator[Calls]:
    """One of ``backend`` under load, which begins before the block and ends after it."""
    before = _all(node)
    with calls(node) as load:
        node.kubectl("-n", "demo", "rollout", "restart", "deployment/backend")
        yield load
        eventually(lambda: not before & _all(node), SECONDS, "the end of the old Pods")
        load.more(200)
    assert [is_ready(pod) for pod in pods(node, "demo", "backend")] == [True, True]


def _all(node: Node) -> set[str]:
    """The names of all Pods of ``backend``, those that are going, too."""
    found = node.get("/api/v1/namespaces/demo/pods?labelSelector=app%3Dbackend")["items"]
    return {name_of(pod) for pod in found}
