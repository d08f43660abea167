"""Custom resource definitions, and ``kumactl install crds``."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kuma_core.plugin.loader import Plugin, State
from kuma_store_k8s import commands
from kuma_store_k8s.crds import crd, crds
from kuma_store_k8s.names import KUMA_0_3, KubeKind, kube_kind
from tests.kumactl.conftest import Call

HELLO = Path(__file__).parents[3] / "examples" / "plugin_hello"


def test_the_worked_example() -> None:
    """What an API server of version 1.30 accepts, and a category and columns beside it."""
    made = crd(KubeKind("DataplaneInsight", "dataplaneinsights"))
    assert made["spec"]["names"].pop("categories") == ["kuma"]
    (version,) = made["spec"]["versions"]
    assert [column["name"] for column in version.pop("additionalPrinterColumns")] == ["Mesh", "Age"]
    assert made == yaml.safe_load(
        """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: dataplaneinsights.kuma.io}
        spec:
          group: kuma.io
          scope: Namespaced
          names:
            {kind: DataplaneInsight, listKind: DataplaneInsightList, plural: dataplaneinsights,
             singular: dataplaneinsight}
          versions:
          - name: v1alpha1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  mesh: {type: string}
                  status: {type: object, x-kubernetes-preserve-unknown-fields: true}
        """
    )


def test_a_mesh_is_of_the_cluster_and_has_no_mesh() -> None:
    made = crd(KubeKind("Mesh", "meshes", is_namespaced=False))
    assert made["spec"]["scope"] == "Cluster"
    assert list(made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]) == ["spec"]


@pytest.mark.parametrize("kind", KUMA_0_3, ids=lambda kind: kind.plural)
def test_a_structural_schema(kind: KubeKind) -> None:
    """What ``v1`` refuses otherwise: a type at the root and below, no status subresource, nothing of metadata."""
    (version,) = crd(kind)["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["type"] == "object"
    assert all("type" in member for member in schema["properties"].values())
    assert "metadata" not in schema["properties"]
    assert "subresources" not in version


def test_they_are_sorted_by_plural() -> None:
    names = [item["metadata"]["name"] for item in crds(reversed(KUMA_0_3))]
    assert names == sorted(f"{kind.plural}.kuma.io" for kind in KUMA_0_3)


def test_install_crds(kumactl: Call) -> None:
    result = kumactl("install", "crds")
    assert (result.code, result.err) == (0, "")
    shown = list(yaml.safe_load_all(result.out))
    assert [item for item in shown if item is not None] == crds(commands.all_kinds())
    assert set(KUMA_0_3) <= set(commands.all_kinds())
    assert result.out == kumactl("install", "crds").out


def test_kinds_of_other_peoples_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HELLO))
    kuma_hello = importlib.import_module("kuma_hello")
    hello = Plugin("hello", "kuma-hello", "0.1.0", State.LOADED, module=kuma_hello)
    monkeypatch.setattr("kuma_core.plugin.at_hand.installed", lambda: [hello])
    assert kube_kind(kuma_hello.kuma_register_resource_types()[0]) in commands.all_kinds()


def test_a_plugin_that_cannot_tell_its_kinds_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        __name__ = "broken"

        @staticmethod
        def kuma_register_resource_types() -> list[object]:
            raise ImportError("No module named 'pydantic'")

    from kuma_core.sdk import hookimpl

    hookimpl(Broken.kuma_register_resource_types)
    broken = Plugin("broken", "acme-broken", "1.0", State.LOADED, module=Broken)
    away = Plugin("away", "acme-away", "1.0", State.BROKEN, "cannot be imported")
    left_out = Plugin("other", "acme-other", "1.0", State.BLOCKED)
    monkeypatch.setattr("kuma_core.plugin.at_hand.installed", lambda: [broken, away, left_out])
    assert {kind.name for kind in commands.all_kinds()} == {kind.name for kind in KUMA_0_3}
    first, second = capsys.readouterr().err.splitlines()
    assert 'the kinds of plugin "broken" (acme-broken 1.0) are left out' in first
    assert "pip install 'acme-broken[cp]'" in first
    assert 'the kinds of plugin "away"' in second


def test_it_needs_no_library_of_kubernetes() -> None:
    code = "import sys, kuma_store_k8s.commands; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert {"lightkube", "httpx", "pydantic", "cryptography"}.isdisjoint(done.stdout.split())
