"""Resources as custom resources, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_core.sdk import KumaError
from kuma_store_k8s.documents import Held, NotAResource, document_text, held, manifest, new_object, replaced
from kuma_store_k8s.names import KubeKind, NotForKubernetes

MESH = KubeKind("Mesh", "meshes", is_namespaced=False)
PERMISSION = KubeKind("TrafficPermission", "trafficpermissions")
INSIGHT = KubeKind("DataplaneInsight", "dataplaneinsights")

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3)
)
CONTENT = st.dictionaries(st.text(max_size=6), JSON, max_size=4)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(kind=st.sampled_from([PERMISSION, INSIGHT]), mesh=LABEL, name=LABEL, namespace=LABEL, content=CONTENT)
def test_what_goes_in_comes_out(
    kind: KubeKind, mesh: str, name: str, namespace: str, content: dict[str, Any]
) -> None:
    made = new_object(kind, mesh, f"{name}.{namespace}", content)
    assert set(made) == {"apiVersion", "kind", "metadata", "mesh", kind.part}
    assert held(kind, made) == Held(mesh, f"{name}.{namespace}", content, "")
    assert json.loads(document_text(content)) == content


def test_a_mesh_is_its_own_mesh() -> None:
    made = new_object(MESH, "shop", "shop", {"mtls": {"enabled": True}})
    assert made == {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Mesh",
        "metadata": {"name": "shop"},
        "spec": {"mtls": {"enabled": True}},
    }
    made["metadata"]["resourceVersion"] = "17"
    assert held(MESH, made) == Held("shop", "shop", {"mtls": {"enabled": True}}, "17")


def test_an_insight_has_a_status() -> None:
    made = new_object(INSIGHT, "default", "web.demo", {"subscriptions": []})
    assert made["status"] == {"subscriptions": []}
    assert "spec" not in made


def test_an_update_leaves_all_else() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "1"}
    present = {
        **new_object(PERMISSION, "default", "web.demo", {"old": 1}),
        "metadata": {
            "name": "web",
            "namespace": "demo",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "ownerReferences": [owner],
            "resourceVersion": "4",
        },
    }
    made = replaced(PERMISSION, present, "default", {"new": 2})
    assert made["metadata"] == present["metadata"]
    assert made["spec"] == {"new": 2}
    assert present["spec"] == {"old": 1}


def test_an_object_without_mesh_is_in_the_default_one() -> None:
    assert held(PERMISSION, {"metadata": {"name": "a", "namespace": "b"}}) == Held("default", "a.b", {}, "")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({}, "no metadata.name"),
        ({"metadata": 7}, "no metadata.name"),
        ({"metadata": {"name": "a"}}, "no metadata.namespace"),
        ({"metadata": {"name": "a", "namespace": "b"}, "spec": []}, "spec of the TrafficPermission"),
        ({"metadata": {"name": "a", "namespace": "b"}, "mesh": 7}, "mesh of the TrafficPermission"),
    ],
)
def test_objects_that_hold_nothing(item: dict[str, Any], said: str) -> None:
    with pytest.raises(NotAResource, match=said):
        held(PERMISSION, item)


@pytest.mark.parametrize("name", ["web", "Web.demo", "a_b.demo", "web.De"])
def test_names_that_have_no_object(name: str) -> None:
    with pytest.raises(NotForKubernetes):
        new_object(PERMISSION, "default", name, {})


# -- documents of operators


def test_a_document_becomes_a_manifest() -> None:
    document = {
        "type": "TrafficPermission",
        "mesh": "default",
        "name": "web-to-backend.demo",
        "sources": [{"match": {"service": "web"}}],
    }
    assert manifest(document) == {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "TrafficPermission",
        "mesh": "default",
        "metadata": {"name": "web-to-backend", "namespace": "demo"},
        "spec": {"sources": [{"match": {"service": "web"}}]},
    }


def test_a_name_without_a_dot_gets_the_namespace_of_kubectl() -> None:
    assert manifest({"type": "Dataplane", "mesh": "m", "name": "web"})["metadata"] == {"name": "web"}


@pytest.mark.parametrize("extra", [{}, {"mesh": "shop"}])
def test_a_mesh_is_of_the_cluster(extra: dict[str, str]) -> None:
    made = manifest({"type": "Mesh", "name": "shop", "mtls": {}, **extra})
    assert made == {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Mesh",
        "metadata": {"name": "shop"},
        "spec": {"mtls": {}},
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"name": "a"}, "type of a document"),
        ({"type": "Mesh"}, "name of a document"),
        ({"type": "Mesh", "name": 7}, "name of a document"),
        ({"type": "Dataplane", "mesh": "", "name": "a"}, "mesh of a document"),
        ({"type": "Dataplane", "mesh": "m", "name": "A.demo"}, "cannot be the name of a Kubernetes object"),
        ({"type": "Dataplane", "mesh": "m", "name": "a.B"}, "cannot be a namespace"),
    ],
)
def test_documents_without_a_manifest(document: dict[str, Any], said: str) -> None:
    with pytest.raises(KumaError, match=said):
        manifest(document)


@given(mesh=LABEL, name=LABEL, namespace=LABEL, content=CONTENT)
def test_a_manifest_holds_what_the_document_says(
    mesh: str, name: str, namespace: str, content: dict[str, Any]
) -> None:
    kept = {key: value for key, value in content.items() if key.lower() not in ("type", "mesh", "name")}
    made = manifest({"type": "TrafficPermission", "mesh": mesh, "name": f"{name}.{namespace}", **kept})
    assert held(PERMISSION, made) == Held(mesh, f"{name}.{namespace}", kept, "")
