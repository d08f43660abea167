"""The mesh ``default``, authorities and what goes with a mesh, with a double of the API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_runtime_k8s
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.kubernetes import way_to
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.controllers.mesh_controller import MESHES, MeshController

from .fake_api import FakeApi

EVERY = [{"match": {"service": "*"}}]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cp(api: FakeApi, tmp_path: Any) -> Iterator[RunningPlatform]:
    settings = {
        "KUMA_ENVIRONMENT": "kubernetes",
        "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR": str(tmp_path),
        "KUMA_KUBERNETES_ADMISSION_SERVER_PORT": str(free_port()),
    }
    plugins = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin, way_to(api), kuma_runtime_k8s]
    with running_platform(plugins, settings) as running:
        yield running


def test_the_default_mesh_is_made_by_the_leader(cp: RunningPlatform) -> None:
    eventually(lambda: cp.get("/meshes/default").status == 200)


def test_it_comes_back_after_it_was_deleted(api: FakeApi, cp: RunningPlatform) -> None:
    eventually(lambda: cp.get("/meshes/default").status == 200)
    api.put(MESHES, {"metadata": {"name": "default"}, "spec": {}})
    assert cp.delete("/meshes/default").status == 200
    api.remove(MESHES, "default")
    eventually(lambda: cp.get("/meshes/default").status == 200)


def test_a_mesh_of_kubectl_gets_a_root_that_it_owns(api: FakeApi, cp: RunningPlatform) -> None:
    path = "/api/v1/secrets"
    api.put(path, {"metadata": {"name": "builtinca.shop", "namespace": "kuma-system"}})
    made = api.put(MESHES, {"metadata": {"name": "shop"}, "spec": {"mtls": {"ca": {"builtin": {}}}}})
    eventually(lambda: cp.platform.core.secrets.find("shop", "builtinca.shop"))

    def owners() -> Any:
        found = api.get(path, "builtinca.shop", "kuma-system")
        return found and found["metadata"].get("ownerReferences")

    assert eventually(owners) == [
        {
            "apiVersion": "kuma.io/v1alpha1",
            "kind": "Mesh",
            "name": "shop",
            "uid": made["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_policies_go_with_their_mesh_and_dataplanes_with_their_pods(
    api: FakeApi, cp: RunningPlatform
) -> None:
    cp.apply({"type": "Mesh", "name": "shop"}, {"type": "Mesh", "name": "other"})
    for mesh in ("shop", "other"):
        policy = {
            "type": "TrafficPermission",
            "mesh": mesh,
            "name": "all",
            "sources": EVERY,
            "destinations": EVERY,
        }
        cp.apply(policy, {**dataplane("web", inbound("10.0.0.1:80:8080", "web")), "mesh": mesh})
        api.put(MESHES, {"metadata": {"name": mesh}, "spec": {}})
    api.remove(MESHES, "shop")
    eventually(lambda: cp.get("/meshes/shop/traffic-permissions/all").status == 404)
    assert cp.get("/meshes/shop/dataplanes/web").status == 200
    assert cp.get("/meshes/other/traffic-permissions/all").status == 200


def test_what_is_of_a_mesh_that_is_still_to_come_stays(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A folder may be applied before the control plane runs that makes the mesh default."""
    running: list[MeshController] = []
    run = MeshController.run
    monkeypatch.setattr(MeshController, "run", lambda self, stop: (running.append(self), run(self, stop))[1])
    cp = request.getfixturevalue("cp")
    eventually(lambda: cp.get("/meshes/default").status == 200)
    cp.apply(
        {
            "type": "TrafficPermission",
            "mesh": "default",
            "name": "all",
            "sources": EVERY,
            "destinations": EVERY,
        }
    )
    running[0]._look("default")  # the API server knows no such mesh
    assert cp.get("/meshes/default/traffic-permissions/all").status == 200
