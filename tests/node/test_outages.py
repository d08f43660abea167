"""Nobody notices that parts of the mesh's own die, but Pods that come meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from kuma_core.testing.waiting import eventually

from .conftest import REFUSE, Mesh
from .load import calls
from .node import Node
from .pods import SYSTEM, Object, crash, is_ready, name_of, pods, restarts, statuses

pytestmark = pytest.mark.node
SECONDS = 300.0
NAMESPACE = "late"


def system(node: Node) -> list[Object]:
    return [pod for app in ("kuma-control-plane", "kuma-injector") for pod in pods(node, SYSTEM, app)]


def _restarts(node: Node) -> dict[str, int]:
    return {name_of(pod): restarts(pod) for pod in system(node)}


def test_no_call_fails_while_all_control_planes_and_the_injector_are_killed(mesh: Mesh) -> None:
    node = mesh.node
    before = _restarts(node)
    with calls(node) as load:
        for pod in system(node):
            crash(node, pod)
        load.more(200)
        eventually(lambda: all(_restarts(node)[name] > count for name, count in before.items()), SECONDS)
        eventually(lambda: all(map(is_ready, system(node))), SECONDS, "control planes and the injector")
        eventually(lambda: mesh.online() == mesh.dataplanes(), SECONDS, "all proxies at a control plane")
        load.more(200)


def a_pod(name: str) -> str:
    """A Pod that does nothing."""
    container = {"name": "app", "image": "python:3.11-slim", "command": ["sleep", "infinity"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def no_injector(mesh: Mesh) -> Iterator[Node]:
    """A namespace of the mesh, while no injector runs."""
    node = mesh.node
    label = {"kuma.io/sidecar-injection": "enabled"}
    node.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": label}})
    eventually(lambda: node.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"), SECONDS)
    _scale(node, 0)
    eventually(lambda: not _listed(node, "kuma-injector"), SECONDS, "the end of the injector")
    try:
        yield node
    finally:
        _scale(node, 1)
        mesh.install()
        node.delete(f"/api/v1/namespaces/{NAMESPACE}")


def _scale(node: Node, replicas: int) -> None:
    node.kubectl("-n", SYSTEM, "scale", "deployment/kuma-injector", f"--replicas={replicas}")


def _listed(node: Node, app: str) -> list[Object]:
    found: list[Object] = node.get(f"/api/v1/namespaces/{SYSTEM}/pods?labelSelector=app%3D{app}")["items"]
    return found


def test_what_comes_without_an_injector_is_outside_of_the_mesh_or_waits(
    mesh: Mesh, no_injector: Node
) -> None:
    """The failure policy says which; an Event names the Pods that have no sidecar. Calls of others go on."""
    node = no_injector
    with calls(node):
        node.kubectl("-n", NAMESPACE, "apply", "-f", "-", input=a_pod("ignored"))
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/ignored"
        eventually(lambda: is_ready(node.get(path)), SECONDS, "a Pod without a sidecar")
        assert set(statuses(node.get(path))) == {"app"}
        chosen = f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=reason%3DNoSidecar"
        eventually(lambda: node.get(chosen)["items"], SECONDS, "the Event")
        assert {item["involvedObject"]["name"] for item in node.get(chosen)["items"]} == {"ignored"}

        mesh.install(REFUSE)
        with pytest.raises(subprocess.CalledProcessError) as refused:
            node.kubectl("-n", NAMESPACE, "apply", "-f", "-", input=a_pod("refused"))
        assert 'failed calling webhook "kuma-injector.kuma.io"' in refused.value.stderr
