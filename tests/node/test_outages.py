"""Nobody notices that parts of the mesh's own die, but Pods that come meanwhile."""

from __future__ import annotations

import pytest

from kuma_core.testing.waiting import eventually

from .conftest import Mesh
from .load import calls
from .node import Node
from .pods import SYSTEM, is_ready, kill, name_of, pods, restarts

pytestmark = pytest.mark.node
SECONDS = 300.0


def system(node: Node) -> list[dict[str, object]]:
    return [pod for app in ("kuma-control-plane", "kuma-injector") for pod in pods(node, SYSTEM, app)]


def test_no_call_fails_while_all_control_planes_and_the_injector_are_killed(mesh: Mesh) -> None:
    node = mesh.node
    before = {name_of(pod): restarts(pod) for pod in system(node)}
    with calls(node) as load:
        for pod in system(node):
            (container,) = (item["name"] for item in pod["spec"]["containers"])  # type: ignore[index]
            kill(node, pod, container)
        load.more(200)
        eventually(lambda: {n: r + 1 for n, r in before.items()} == _restarts(node), SECONDS)
        eventually(lambda: all(map(is_ready, system(node))), SECONDS, "control planes and the injector")
        eventually(lambda: mesh.online() == mesh.dataplanes(), SECONDS, "all proxies at a control plane")
        load.more(200)


def _restarts(node: Node) -> dict[str, int]:
    return {name_of(pod): restarts(pod) for pod in system(node)}
