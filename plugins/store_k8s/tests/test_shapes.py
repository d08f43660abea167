"""Records that are no custom resources: secrets, leases and the rest, on the double and on a real API server."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from kuma_core.sdk import AlreadyExists, Change, Conflict, InvalidResource, NotFound, Op, ResourceKey
from kuma_core.testing.stores import content, watching
from kuma_store_k8s.contents import MARK
from kuma_store_k8s.shapes import CustomShape, RecordShape, SecretShape
from kuma_store_k8s.store import KubernetesStore

from .kinds import THING
from .places import client_for, doubled
from .real import empty, prepare

WHERE = pytest.param("double"), pytest.param("cluster", marks=pytest.mark.kube)
TEXT = json.dumps(b64encode(b"hidden").decode())
OTHER_TEXT = json.dumps(b64encode(b"other").decode())
RECORDS = [
    (ResourceKey("Secret", "shop", "builtinca.shop"), TEXT, OTHER_TEXT),
    (ResourceKey("Lease", "leader", "leader"), '{"holder":"a","term":1}', '{"holder":"b","term":2}'),
    (ResourceKey("Instance", "id", "id"), '{"beats":1}', '{"beats":2,"notes":{"a":{"b":"c"}}}'),
    (ResourceKey("MeshDeletion", "a" * 253, "a" * 253), "{}", '{"holder":"b"}'),
    (ResourceKey("KindRecord", "Shelf", "Shelf"), '{"plugin":"hello"}', '{"plugin":"acme"}'),
    (ResourceKey("Hidden", "some mesh", "Odd/näme"), "{}", '{"n":[1,null]}'),
]


@pytest.fixture(params=WHERE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KubernetesStore]:
    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        prepare(cluster)
        empty(cluster)
        with client_for(cluster.kubeconfig) as client:
            yield from opened(client)
        return
    with doubled(tmp_path) as served, client_for(served.kubeconfig) as client:
        yield from opened(client)


def opened(client: object) -> Iterator[KubernetesStore]:
    store = KubernetesStore(client, "kuma-system", (THING,))  # type: ignore[arg-type]
    store._use(dict.fromkeys(key.type for key, _, _ in RECORDS))
    yield store
    store.close()


@pytest.mark.parametrize(("key", "first", "second"), RECORDS, ids=[key.type for key, _, _ in RECORDS])
def test_a_record_lives_as_those_of_other_kinds_do(
    store: KubernetesStore, key: ResourceKey, first: str, second: str
) -> None:
    with watching(store) as watch:
        made = store.create(key, first)
        assert (made.key, content(made.document), store.get(key)) == (key, content(first), made)
        with pytest.raises(AlreadyExists):
            store.create(key, second)
        changed = store.update(key, second, made.version)
        with pytest.raises(Conflict):
            store.update(key, first, made.version)
        assert store.list(key.type) == [changed] == store.list(key.type, key.mesh)
        assert content(changed.document) == content(second)
        store.delete(key)
        with pytest.raises(Conflict):
            store.update(key, first, changed.version)
        with pytest.raises(NotFound):
            store.get(key)
        with pytest.raises(NotFound):
            store.delete(key)
        watch.wait_for(Change(Op.DELETE, key))
        assert [change.op for change in watch.changes] == [Op.RESYNC, Op.PUT, Op.PUT, Op.DELETE]


def test_other_secrets_of_the_namespace_are_none_of_ours(store: KubernetesStore) -> None:
    secret = {"metadata": {"name": "builtinca.shop"}, "type": "Opaque", "data": {"value": "aGlkZGVu"}}
    store._client.create("/api/v1/namespaces/kuma-system/secrets", secret)
    assert store.list("Secret") == []


def test_a_secret_of_kuma_0_3_is_of_the_mesh_in_its_name() -> None:
    meta = {"name": "builtinca.shop", "resourceVersion": "7"}
    record = SecretShape("kuma-system").record({"metadata": meta, "type": "system.kuma.io/secret"})
    assert (record.key.mesh, record.document) == ("shop", '""')


@pytest.mark.parametrize("spec", ["{}", '{"z":1,"a":2}'])
def test_the_term_of_a_leader_is_an_annotation(spec: str) -> None:
    """A user sees it beside his content, and it comes back where the kernel looks for it: at the end."""
    shape, key = CustomShape(THING), ResourceKey("Thing", "default", "a.b")
    marked = json.dumps({**json.loads(spec), MARK: 7})
    made = shape.made(key, marked)
    assert (made["spec"], made["metadata"]["annotations"]) == (json.loads(spec), {"kuma.io/leader-term": "7"})
    made["metadata"] |= {"resourceVersion": "1", "labels": {"a": "b"}}
    document = shape.record(made).document
    assert document.endswith(f'"{MARK}":7}}')
    assert json.loads(document) == json.loads(marked)
    unmarked = shape.changed(made, key, spec)["metadata"]
    assert ("annotations" in unmarked, unmarked["labels"]) == (False, {"a": "b"})


@pytest.mark.parametrize("document", ["[]", "1", '"text"'])
def test_what_is_no_object_is_refused(document: str) -> None:
    with pytest.raises(InvalidResource, match="JSON objects alone"):
        CustomShape(THING).made(ResourceKey("Thing", "default", "a.b"), document)


def test_names_of_records_are_never_the_same() -> None:
    shape = RecordShape("Hidden", "kuma-system", False)
    keys = [
        ResourceKey("Hidden", *pair)
        for pair in (("a", "a"), ("b", "a"), ("a", "b"), ("A", "A"), ("a/b", "c"))
    ]
    assert len({shape.path(key) for key in keys}) == len(keys)
