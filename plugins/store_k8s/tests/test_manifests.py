"""``kumactl apply -o kubernetes`` and ``kumactl get -o kubernetes``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.platform import RunningPlatform, running_platform
from tests.kumactl.conftest import Call

DOCUMENTS = """
type: Mesh
name: {{mesh}}
---
items:
- type: Dataplane
  mesh: {{mesh}}
  name: web.demo
  networking: {inbound: [{interface: "127.0.0.1:80:8080", tags: {service: web, version: "1.0"}}]}
"""


def loaded(text: str) -> list[object]:
    return [item for item in yaml.safe_load_all(text) if item is not None]


def test_universal_documents_become_manifests(kumactl: Call, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DOCUMENTS)
    result = kumactl("apply", "-f", str(tmp_path / "a.yaml"), "-v", "mesh=shop", "-o", "kubernetes")
    assert (result.code, result.err) == (0, "")
    assert loaded(result.out) == [
        {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "metadata": {"name": "shop"}, "spec": {}},
        {
            "apiVersion": "kuma.io/v1alpha1",
            "kind": "Dataplane",
            "mesh": "shop",
            "metadata": {"name": "web", "namespace": "demo"},
            "spec": {
                "networking": {
                    "inbound": [
                        {"interface": "127.0.0.1:80:8080", "tags": {"service": "web", "version": "1.0"}}
                    ]
                }
            },
        },
    ]


def test_every_document_without_a_manifest_is_named(kumactl: Call, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "{type: Mesh, name: A}\n---\n{type: Mesh, name: b}\n---\n{type: Mesh, name: c_}"
    )
    result = kumactl("apply", "-f", str(tmp_path / "a.yaml"), "-o", "kubernetes")
    assert (result.code, result.out) == (1, "")
    first, *others = result.err.splitlines()
    assert first == "Error: no manifest can be made of these:"
    assert [line.partition(": ")[0] for line in others] == ['* Mesh "A"', '* Mesh "c_"']


@pytest.fixture
def platform() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as running:
        yield running


def test_what_a_control_plane_has(kumactl: Call, platform: RunningPlatform) -> None:
    every = [{"match": {"service": "*"}}]
    document = {"type": "TrafficPermission", "mesh": "default", "name": "all", "sources": every}
    platform.put("/meshes/default/traffic-permissions/all", {**document, "destinations": every})
    add = kumactl("config", "control-planes", "add", "--name=a", f"--address={platform.api_url}")
    assert add.code == 0
    for words in (("trafficpermissions",), ("trafficpermissions", "all")):
        result = kumactl("get", *words, "-o", "kubernetes")
        assert (result.code, result.err) == (0, "")
        (manifest,) = loaded(result.out)
        assert manifest == {
            "apiVersion": "kuma.io/v1alpha1",
            "kind": "TrafficPermission",
            "mesh": "default",
            "metadata": {"name": "all"},
            "spec": {"sources": every, "destinations": every},
        }
    assert kumactl("get", "services", "-o", "kubernetes").err.startswith("Error: services are no resources")
