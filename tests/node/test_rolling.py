"""A new version of a service comes under load, and nobody notices."""

from __future__ import annotations

import pytest

from kuma_core.testing.waiting import eventually

from .conftest import SECONDS, Mesh
from .load import calls
from .node import Node
from .pods import is_ready, name_of, pods

pytestmark = pytest.mark.node


def test_no_call_fails_in_a_rolling_update(mesh: Mesh) -> None:
    """The application ends at once when it is told to; calls go to others before."""
    node = mesh.node
    before = _all(node)
    with calls(node) as load:
        node.kubectl("-n", "demo", "rollout", "restart", "deployment/backend")
        eventually(lambda: not before & _all(node), SECONDS, "the end of the old Pods")
        load.more(200)
    assert [is_ready(pod) for pod in pods(node, "demo", "backend")] == [True, True]


def _all(node: Node) -> set[str]:
    """The names of all Pods of ``backend``, those that are going, too."""
    found = node.get("/api/v1/namespaces/demo/pods?labelSelector=app%3Dbackend")["items"]
    return {name_of(pod) for pod in found}
