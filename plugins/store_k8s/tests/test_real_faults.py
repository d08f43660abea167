"""What a real API server does to those who watch it, and what objects of any shape do to the store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kuma_core.sdk import Change, InvalidResource, Op, ResourceKey, Stop, StoreUnavailable
from kuma_core.testing.stores import RESYNC, content, watching
from kuma_core.testing.waiting import eventually
from kuma_store_k8s import client as clients
from kuma_store_k8s.reflector import Reflector
from kuma_store_k8s.store import KubernetesStore
from tests.kube.cluster import NOBODY, Cluster

from .kinds import KINDS, OTHER, THING
from .places import client_for
from .real import empty, prepare

pytestmark = pytest.mark.kube

THINGS = "/apis/kuma.io/v1alpha1/namespaces/default/things"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def thing(name: str, type: str = "Thing") -> ResourceKey:
    return ResourceKey(type, "default", f"{name}.default")


@pytest.fixture
def prepared(cluster: Cluster) -> Cluster:
    prepare(cluster)
    empty(cluster)
    return cluster


@pytest.fixture
def store(prepared: Cluster) -> Iterator[KubernetesStore]:
    with client_for(prepared.kubeconfig) as client:
        store = KubernetesStore(client, "kuma-system", KINDS)
        yield store
        store.close()


def test_a_server_that_stands_still_is_waited_for_by_the_watch_and_not_by_callers(
    prepared: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 1.0)
    with client_for(prepared.kubeconfig) as client:
        store = KubernetesStore(client, "kuma-system", (THING,))
        with watching(store) as watch:
            with prepared.apiserver.stopped(), pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.get(thing("a"))
            eventually(lambda: _written(store, "b"))
            watch.wait_for(Change(Op.PUT, thing("b")))
            assert watch.changes.count(RESYNC) == 1
        store.close()


def _written(store: KubernetesStore, name: str) -> bool:
    try:
        store.create(thing(name), "{}")
    except StoreUnavailable:
        return False
    return True


class Noting:
    """What a reflector tells."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []
        self.told: list[str] = []
        self.problems: list[StoreUnavailable] = []

    def replaced(self, items: dict[str, Any]) -> None:
        self.lists.append(sorted(items))

    def put(self, item: dict[str, Any]) -> None:
        self.told.append(item["metadata"]["name"])

    def deleted(self, item: dict[str, Any]) -> None:
        self.told.append("-" + item["metadata"]["name"])

    def settled(self) -> None:
        pass

    def troubled(self, problem: StoreUnavailable) -> None:
        self.problems.append(problem)


@pytest.mark.parametrize("streams", [True, False], ids=["a list that is streamed", "a list in pages"])
def test_a_version_that_is_long_gone_has_the_list_read_again(
    prepared: Cluster, store: KubernetesStore, streams: bool
) -> None:
    """The real server answers a watch from its first version with 410."""
    store.create(thing("a"), "{}")
    noting, stop = Noting(), Stop()
    with client_for(prepared.kubeconfig) as client:
        reflector = Reflector(client, "/apis/kuma.io/v1alpha1/things", {}, noting)
        reflector._version, reflector._streams = "1", streams
        thread = threading.Thread(target=reflector.run, args=(stop,))
        thread.start()
        try:
            eventually(lambda: noting.lists)
            store.create(thing("b"), "{}")
            eventually(lambda: "b" in noting.told)
            store.delete(thing("b"))
            eventually(lambda: "-b" in noting.told)
        finally:
            stop.set()
            thread.join(timeout=10)
    assert (noting.lists, noting.problems, thread.is_alive()) == ([["default/a"]], [], False)


def test_a_right_that_is_missing_costs_nothing_else(prepared: Cluster) -> None:
    """And once it is given, what is there is told."""
    rules = [
        {"apiGroups": ["kuma.io"], "resources": ["things"], "verbs": ["*"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
    ]
    allow(prepared, rules)
    prepared.create(THINGS.replace("things", "others"), custom("there", {}) | {"kind": "Other"})
    with client_for(prepared.write_kubeconfig("nobody", NOBODY)) as client:
        store = KubernetesStore(client, "kuma-system", (THING, OTHER))
        try:
            with watching(store) as watch:
                store.create(thing("a"), "{}")
                watch.wait_for(Change(Op.PUT, thing("a")))
                with pytest.raises(
                    StoreUnavailable, match=r'cannot list.*"kumactl install control-plane" prints the'
                ):
                    store.list("Other")
                rules[0]["resources"] = ["things", "others"]
                allow(prepared, rules)
                watch.wait_for(Change(Op.PUT, thing("there", "Other")))
        finally:
            store.close()
            for kind in ("clusterroles", "clusterrolebindings"):
                prepared.delete(f"{RBAC}/{kind}/store-test")


def allow(cluster: Cluster, rules: list[dict[str, Any]]) -> None:
    """Let nobody do this and nothing else."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "store-test"},
    }
    binding = {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "store-test"},
        "subjects": [{"kind": "User", "name": "nobody"}],
    }
    for item in ({**role, "rules": rules}, binding):
        cluster.kubectl("apply", "-f", "-", input=json.dumps(item))


def custom(name: str, spec: Any) -> dict[str, Any]:
    meta = {"name": name}
    return {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "Thing",
        "metadata": meta,
        "mesh": "default",
        "spec": spec,
    }


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)
SHARED = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(OBJECTS)
def test_an_object_of_any_shape_comes_back_as_it_was_written(
    store: KubernetesStore, spec: dict[str, Any]
) -> None:
    key = thing("any")
    made = store.create(key, json.dumps(spec))
    try:
        for record in (made, store.get(key), *store.list("Thing")):
            assert content(record.document) == content(json.dumps(spec))
        changed = store.update(key, '{"n":1}', made.version)
        assert content(changed.document) == {"n": 1}
    finally:
        store.delete(key)


@SHARED
@given(OBJECTS, st.sampled_from([None, "", "shop", "UPPER case"]))
def test_whatever_kubectl_writes_costs_nobody_else_anything(
    prepared: Cluster, store: KubernetesStore, spec: dict[str, Any], mesh: str | None
) -> None:
    item = {**custom("any", spec), "mesh": mesh}
    prepared.create(THINGS, item if mesh is not None else {key: item[key] for key in item if key != "mesh"})
    try:
        store.create(thing("fine"), "{}")
        found = {record.key: content(record.document) for record in store.list("Thing")}
        assert found == {
            thing("fine"): {},
            ResourceKey("Thing", mesh or "default", "any.default"): content(json.dumps(spec)),
        }
    finally:
        for name in ("any", "fine"):
            prepared.delete(f"{THINGS}/{name}")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**22])
def test_a_number_that_the_server_would_round_is_refused(store: KubernetesStore, number: int) -> None:
    with pytest.raises(InvalidResource, match=r"deep\.in\[0\]: Kubernetes holds whole numbers from"):
        store.create(thing("a"), json.dumps({"deep": {"in": [number]}}))


def test_an_object_that_is_too_large_is_refused(store: KubernetesStore) -> None:
    with pytest.raises(InvalidResource, match="larger than Kubernetes takes"):
        store.create(thing("a"), json.dumps({"text": "x" * 4_000_000}))
    with pytest.raises(InvalidResource, match="larger than Kubernetes takes"):
        store.create(thing("a"), json.dumps({"text": "x" * 2_000_000}))


@pytest.mark.chaos
def test_a_storage_that_was_emptied_is_read_anew(prepared: Cluster, store: KubernetesStore) -> None:
    """Versions begin anew; a watch from an old one would be silent until there were as many again."""
    for number in range(20):
        store.create(thing(f"a{number}"), "{}")
    with watching(store) as watch:
        prepared.lose_everything()
        prepare(prepared)
        eventually(lambda: watch.failure or Change(Op.DELETE, thing("a1")) in watch.changes, 60)
        eventually(lambda: _written(store, "new"), 60)
        with watching(store) as again:
            store.create(thing("newer"), "{}")
            again.wait_for(Change(Op.PUT, thing("newer")))
    assert [record.key for record in store.list("Thing")] == [thing("new"), thing("newer")]


@pytest.mark.chaos
def test_a_server_that_stands_still_for_half_a_minute_is_no_loss(
    prepared: Cluster, store: KubernetesStore
) -> None:
    with watching(store) as watch:
        with prepared.apiserver.stopped():
            time.sleep(30)
        eventually(lambda: _written(store, "b"), 60)
        watch.wait_for(Change(Op.PUT, thing("b")))
        assert watch.failure is None
