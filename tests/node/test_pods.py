"""What Pods of an encrypted mesh do: they are probed, refuse plaintext, keep their identity, and complete."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kuma_core.testing.waiting import eventually

from .conftest import Mesh
from .node import Node
from .pods import SYSTEM, is_ready, pods

pytestmark = pytest.mark.node
SECONDS = 300.0


def test_plaintext_is_refused_from_the_node_itself(mesh: Mesh) -> None:
    """Who reaches the port of the application reaches its proxy, and needs an identity."""
    for pod in pods(mesh.node, "demo", "backend"):
        place = f"http://{pod['status']['podIP']}:8080/"
        script = f"wget -qO- -t 1 -T 30 {place} && echo answered || echo refused"
        assert mesh.node.machine.run("sh", "-c", script).strip() == "refused"
    assert mesh.answer().startswith("hello from backend-")


def test_probes_go_on_to_be_answered(mesh: Mesh) -> None:
    """By the sidecar, which asks the application; the one of a TCP port is one by HTTP there."""
    for pod in pods(mesh.node, "demo", "backend"):
        backend = next(item for item in pod["spec"]["containers"] if item["name"] == "backend")
        for kind in ("readinessProbe", "livenessProbe"):
            probe = backend[kind]["httpGet"]
            assert probe["port"] == 9000
            place = f"http://{pod['status']['podIP']}:9000{probe['path']}"
            mesh.node.machine.run("wget", "-qO-", "-t", "3", "-T", "60", place)
    eventually(lambda: all(map(is_ready, pods(mesh.node, "demo", "backend"))), SECONDS, "Pods that are ready")


@pytest.fixture
def native(mesh: Mesh) -> Iterator[Node]:
    """The node, while its injector makes native sidecars."""
    node = mesh.node
    _set(node, "KUMA_INJECTOR_NATIVE_SIDECARS=true")
    yield node
    _set(node, "KUMA_INJECTOR_NATIVE_SIDECARS-")


def _set(node: Node, variable: str) -> None:
    node.kubectl("-n", SYSTEM, "set", "env", "deployment/kuma-injector", variable)
    node.kubectl("-n", SYSTEM, "rollout", "status", "deployment/kuma-injector", f"--timeout={int(SECONDS)}s")


JOB = """
apiVersion: v1
kind: Service
metadata: {name: batch}
spec:
  selector: {app: batch}
  ports: [{port: 8080}]
---
apiVersion: kuma.io/v1alpha1
kind: TrafficPermission
mesh: default
metadata: {name: batch-to-backend}
spec:
  sources: [{match: {service: batch.demo.svc:8080}}]
  destinations: [{match: {service: backend.demo.svc:8080}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: batch}
spec:
  backoffLimit: 10
  template:
    metadata: {labels: {app: batch}}
    spec:
      restartPolicy: Never
      containers:
      - name: batch
        image: python:3.11-slim
        command: [python3, -c]
        args: ["import urllib.request as r; print(r.urlopen('http://backend:8080/', timeout=60).read().decode())"]
        ports: [{containerPort: 8080}]
"""


def test_a_job_with_a_native_sidecar_completes(native: Node) -> None:
    native.kubectl("-n", "demo", "apply", "-f", "-", input=JOB)
    path = "/apis/batch/v1/namespaces/demo/jobs/batch"

    def is_complete() -> bool:
        conditions = native.get(path).get("status", {}).get("conditions", [])
        return any((item["type"], item["status"]) == ("Complete", "True") for item in conditions)

    eventually(is_complete, SECONDS, "the end of the Job")
    told = native.kubectl("-n", "demo", "logs", "job/batch", "-c", "batch")
    assert told.startswith("hello from backend-")
    (pod,) = [item for item in pods(native, "demo", "batch") if item["status"]["phase"] == "Succeeded"]
    sidecar = next(item for item in pod["spec"]["initContainers"] if item["name"] == "kuma-sidecar")
    assert sidecar["restartPolicy"] == "Always"
    native.kubectl("-n", "demo", "delete", "job/batch", "service/batch", "trafficpermission/batch-to-backend")
