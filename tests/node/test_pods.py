"""What Pods of an encrypted mesh do: they are probed, refuse plaintext, keep their identity, and complete."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kuma_core.testing.waiting import eventually

from .conftest import Mesh
from .node import Node
from .pods import SYSTEM, is_ready, kill, name_of, pods, restarts, said

pytestmark = pytest.mark.node
SECONDS = 300.0
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def test_plaintext_is_refused_from_the_node_itself(mesh: Mesh) -> None:
    """Who reaches the port of the application reaches its proxy, and needs an identity."""
    for pod in pods(mesh.node, "demo", "backend"):
        place = f"http://{pod['status']['podIP']}:8080/"
        script = f"wget -qO- -t 1 -T 30 {place} && echo answered || echo refused"
        assert mesh.node.machine.run("sh", "-c", script).strip() == "refused"
    assert mesh.answer().startswith("hello from backend-")


def test_probes_are_those_of_the_sidecar_and_nothing_was_started_again(mesh: Mesh) -> None:
    for pod in pods(mesh.node, "demo", "backend"):
        backend = next(item for item in pod["spec"]["containers"] if item["name"] == "backend")
        assert backend["readinessProbe"]["httpGet"]["port"] == 9000
        assert backend["livenessProbe"]["httpGet"]["port"] == 9000
        assert (is_ready(pod), restarts(pod)) == (True, 0)


def _tokens(node: Node) -> dict[str, str]:
    found = [pod for app in ("web", "backend") for pod in pods(node, "demo", app)]
    words = ("-c", "kuma-sidecar", "--", "cat", TOKEN)
    return {name_of(pod): said(node, "-n", "demo", name_of(pod), *words).strip() for pod in found}


def _asked(node: Node) -> set[str]:
    """The tokens that the API server was asked about."""
    return {
        json.loads(line)["requestObject"]["spec"]["token"]
        for line in node.audit.read_text().splitlines()
        if line.endswith("}")
    }


def test_a_token_that_rotates_is_the_one_that_proxies_show(mesh: Mesh) -> None:
    """A kubelet that starts makes new tokens for all Pods; the next streams of their proxies have them."""
    node = mesh.node
    old = _tokens(node)
    node.kubelet.kill()
    node.kubelet.start()
    eventually(lambda: set(_tokens(node).values()).isdisjoint(old.values()), SECONDS, "new tokens")
    new = _tokens(node)
    assert set(new) == set(old)
    assert not set(new.values()) & _asked(node)
    for pod in pods(node, SYSTEM, "kuma-control-plane"):
        kill(node, pod, "control-plane")
    eventually(lambda: set(new.values()) <= _asked(node), SECONDS, "questions about the new tokens")
    eventually(lambda: mesh.online() == mesh.dataplanes(), SECONDS, "all proxies at a control plane")
    assert mesh.answer().startswith("hello from backend-")


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
