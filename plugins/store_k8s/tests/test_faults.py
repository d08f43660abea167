"""What an API server does to those who watch it, and what becomes of the watch of the store; the double does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kuma_core.sdk import Change, Op, ResourceKey, StoreUnavailable
from kuma_core.testing.stores import RESYNC, Watching, content, watching
from kuma_core.testing.waiting import eventually
from kuma_store_k8s import client as clients
from kuma_store_k8s import reflector
from kuma_store_k8s.client import ApiClient
from kuma_store_k8s.store import KubernetesStore

from .double import ApiDouble
from .doubleserver import Served
from .kinds import OTHER, QUIET, THING
from .places import client_for, doubled


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with doubled(tmp_path, (THING, OTHER, QUIET)) as served:
        yield served


@pytest.fixture
def double(served: Served) -> ApiDouble:
    return served.double


@pytest.fixture
def client(served: Served) -> Iterator[ApiClient]:
    with client_for(served.kubeconfig) as client:
        yield client


@pytest.fixture
def store(client: ApiClient) -> Iterator[KubernetesStore]:
    store = KubernetesStore(client, "kuma-system", (THING, OTHER))
    yield store
    store.close()


def thing(name: str, type: str = "Thing") -> ResourceKey:
    return ResourceKey(type, "default", f"{name}.default")


def put(name: str, type: str = "Thing") -> Change:
    return Change(Op.PUT, thing(name, type))


def deleted(name: str) -> Change:
    return Change(Op.DELETE, thing(name))


def told(watch: Watching, *changes: Change) -> None:
    """Wait until these changes are told, after the first RESYNC and nothing else."""
    eventually(lambda: watch.failure or len(watch.changes) > len(changes))
    assert watch.failure is None
    assert watch.changes == [RESYNC, *changes]


def behind_its_back(double: ApiDouble, name: str, method: str = "POST") -> None:
    """A write that no watch is told of as an event: the history is forgotten after it."""
    path = "/apis/kuma.io/v1alpha1/namespaces/default/things"
    item = {"metadata": {"name": name}, "mesh": "default", "spec": {}}
    double.answer(
        method, path if method == "POST" else f"{path}/{name}", {}, item if method == "POST" else None
    )


@pytest.mark.parametrize("after", [0, 1, 9, 57, 150, 400, 700])
def test_a_watch_that_is_cut_at_any_byte_goes_on_where_it_was(
    double: ApiDouble, store: KubernetesStore, after: int
) -> None:
    with watching(store) as watch:
        double.cut("things", after)
        double.cut_watches()
        names = [f"a{number}" for number in range(5)]
        for name in names:
            store.create(thing(name), "{}")
        told(watch, *(put(name) for name in names))
    assert double.cuts == []


def test_the_connection_of_a_watch_that_ended_is_used_for_nothing_else(
    double: ApiDouble, client: ApiClient
) -> None:
    """A server may close it at any moment, and what was sent on it meanwhile is lost, writes among it."""
    path = "/apis/kuma.io/v1alpha1/things"
    query = {"watch": "1", "resourceVersion": str(double.revision)}
    with double.closing_late():
        with client.lines(path, query, 5) as lines:
            double.cut_watches()
            assert list(lines) == []
        assert client.get(path)["items"] == []


@pytest.mark.parametrize("streams", [True, False], ids=["a list that is streamed", "a list in pages"])
def test_what_happened_in_a_history_that_is_forgotten_is_told(
    double: ApiDouble, store: KubernetesStore, streams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions too. The server without streamed lists has two objects on a page."""
    monkeypatch.setattr(reflector, "PAGE", "2")
    double.streams_lists = streams
    for name in ("changed", "gone", "same", "same-too"):
        store.create(thing(name), "{}")
    with watching(store) as watch:
        told(watch)
        double.refuse(503, part="things")
        double.cut_watches()
        with double.changed:
            changed = {**double.objects["kuma.io/things"][("default", "changed")], "spec": {"n": 1}}
            double.write("kuma.io/things", "MODIFIED", changed)
            double.write("kuma.io/things", "DELETED", double.objects["kuma.io/things"][("default", "gone")])
        double.forget()
        double.relent()
        told(watch, put("changed"), deleted("gone"))
        store.create(thing("later"), "{}")
        watch.wait_for(put("later"))


def test_a_server_that_forgets_all_the_time_is_not_asked_without_a_pause(
    double: ApiDouble, store: KubernetesStore
) -> None:
    double.refuse(410, "Expired", part="things", watch=True)
    with watching(store):
        times = eventually(
            lambda: _times(double, "things")[:6] if len(_times(double, "things")) > 5 else None
        )
    assert times
    assert times[5] - times[4] > 0.5


def _times(double: ApiDouble, part: str) -> list[float]:
    """When a path was asked for."""
    return [asked.at for asked in list(double.asked) if part in asked.path]


@pytest.mark.parametrize(
    ("code", "reason"), [(429, "TooManyRequests"), (500, "InternalError"), (403, "Forbidden")]
)
def test_a_collection_that_cannot_be_watched_costs_the_others_nothing(
    double: ApiDouble, store: KubernetesStore, code: int, reason: str
) -> None:
    """``storage is (re)initializing`` after a new definition, a fault, a right that is missing: it is told of later."""
    behind_its_back(double, "early")
    double.refuse(code, reason, part="things", watch=True)
    double.refuse(code, reason, part="/v1alpha1/things", watch=False)
    with watching(store) as watch:
        store.create(thing("a", "Other"), "{}")
        told(watch, put("a", "Other"))
        assert store.counter() == "", "nobody may believe that all was heard"
        with pytest.raises(StoreUnavailable, match=f"cannot do this: {code}"):
            store.list("Thing")
        assert [record.key for record in store.list("Other")] == [thing("a", "Other")]
        double.relent()
        watch.wait_for(put("early"))
    eventually(store.counter)


def test_a_server_that_wants_to_be_left_alone_is(double: ApiDouble, store: KubernetesStore) -> None:
    double.refuse(429, "TooManyRequests", part="things", retry=2, times=1, watch=True)
    with watching(store) as watch:
        store.create(thing("a"), "{}")
        watch.wait_for(put("a"))
    watches = [asked.at for asked in double.asked if asked.is_watch and "things" in asked.path]
    assert watches[1] - watches[0] >= 2


def test_a_definition_that_is_missing_is_told_with_the_command(double: ApiDouble, client: ApiClient) -> None:
    from kuma_store_k8s.names import KubeKind

    store = KubernetesStore(client, "kuma-system", (THING, KubeKind("Shelf", "shelves")))
    try:
        with watching(store) as watch:
            store.create(thing("a"), "{}")
            told(watch, put("a"))
            assert store.list("Shelf") == []
            with pytest.raises(
                StoreUnavailable, match=r"no custom resource definition shelves\.kuma\.io: install it"
            ):
                store.create(thing("a", "Shelf"), "{}")
            double.objects["kuma.io/shelves"] = {}
            store.create(thing("a", "Shelf"), "{}")
            watch.wait_for(put("a", "Shelf"))
    finally:
        store.close()


def test_a_server_that_hangs_is_waited_for_by_the_watch_and_not_by_callers(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with SIGSTOP: connections stay."""
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.5)
    with client_for(served.kubeconfig) as client:
        store = KubernetesStore(client, "kuma-system", (THING,))
        with watching(store) as watch:
            with served.hanging(), pytest.raises(StoreUnavailable, match="cannot be reached: timed out"):
                store.get(thing("a"))
            store.create(thing("b"), "{}")
            told(watch, put("b"))
        store.close()


def test_a_silent_watch_is_asked_anew(
    double: ApiDouble, store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that leads nowhere says nothing, not even that it is dead; bookmarks come as long as it lives."""
    monkeypatch.setattr(reflector, "SILENCE_SECONDS", 0.3)
    with watching(store) as watch:
        eventually(lambda: double.watches().count("/apis/kuma.io/v1alpha1/things") > 2)
        store.create(thing("a"), "{}")
        told(watch, put("a"))


def test_bookmarks_are_where_a_watch_goes_on(double: ApiDouble, store: KubernetesStore) -> None:
    with watching(store):
        double.bookmark()
        wanted = str(double.revision)
        double.cut_watches()
        eventually(
            lambda: [
                asked
                for asked in double.asked
                if asked.is_watch and "things" in asked.path and asked.query["resourceVersion"] == wanted
            ]
        )


def test_a_storage_that_was_emptied_is_read_anew(
    double: ApiDouble, served: Served, store: KubernetesStore
) -> None:
    """Versions begin anew: a watch from the old one would be silent for a long time."""
    for name in ("a", "b", "c"):
        store.create(thing(name), "{}")
    with watching(store) as watch:
        told(watch)
        served.kill()
        double.empty()
        served.start()
        eventually(lambda: {deleted(name) for name in "abc"} <= set(watch.changes) or watch.failure)
        with watching(store) as again:
            store.create(thing("a"), "{}")
            again.wait_for(put("a"))
    assert [record.key for record in store.list("Thing")] == [thing("a")]


def test_an_object_that_moves_to_another_mesh_leaves_the_first(
    double: ApiDouble, store: KubernetesStore
) -> None:
    store.create(thing("a"), "{}")
    with watching(store) as watch:
        with double.changed:
            item = double.objects["kuma.io/things"][("default", "a")]
            double.write("kuma.io/things", "MODIFIED", {**item, "mesh": "shop"})
        told(watch, deleted("a"), Change(Op.PUT, ResourceKey("Thing", "shop", "a.default")))


def test_an_object_that_holds_no_record_is_left_out(double: ApiDouble, store: KubernetesStore) -> None:
    with watching(store) as watch:
        with double.changed:
            for name, spec in (("odd", "none"), ("fine", {"n": 1})):
                meta = {"name": name, "namespace": "default"}
                double.write("kuma.io/things", "ADDED", {"metadata": meta, "mesh": "default", "spec": spec})
        told(watch, put("fine"))
    assert [content(record.document) for record in store.list("Thing")] == [{"n": 1}]


def test_hints_that_nobody_heard_have_all_read_anew(
    double: ApiDouble, client: ApiClient, store: KubernetesStore
) -> None:
    """They are stored nowhere: of several the last one alone is left."""
    other = KubernetesStore(client, "kuma-system", (THING,))
    store.tell(thing("first", "Quiet"))
    with watching(store) as watch:
        other.tell(thing("second", "Quiet"))
        watch.wait_for(put("second", "Quiet"))
        double.refuse(503, part="leases", watch=True)
        double.cut_watches()
        other.tell(thing("third", "Quiet"))
        other.tell(thing("fourth", "Quiet"))
        double.forget()
        double.relent()
        eventually(lambda: watch.changes.count(RESYNC) == 2)


def test_a_hint_is_told_after_the_writes_before_it(
    double: ApiDouble, served: Served, client: ApiClient
) -> None:
    """Although its watch is quicker than theirs, by a pause that the server asks for here, and than its teller's."""
    with client_for(served.kubeconfig) as far_away:
        far = KubernetesStore(far_away, "kuma-system", (THING,))
        near = KubernetesStore(client, "kuma-system", (THING,))
        with watching(far) as watch, watching(near):
            double.refuse(429, part="things", watch=True, times=2, retry=1)
            double.cut_watches()
            near.create(thing("a"), "{}")
            near.tell(thing("hint", "Quiet"))
            told(watch, put("a"), put("hint", "Quiet"))
        far.close()
        near.close()


def test_a_token_that_was_exchanged_is_read_again(served: Served, tmp_path: Path) -> None:
    """As the kubelet exchanges that of a service account."""
    token = tmp_path / "token"
    token.write_text("first")
    config = yaml.safe_load(served.kubeconfig.read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    served.kubeconfig.write_text(yaml.safe_dump(config))
    served.double.token = "first"
    with client_for(served.kubeconfig) as client:
        store = KubernetesStore(client, "kuma-system", (THING,))
        store.create(thing("a"), "{}")
        served.double.token = "second"
        with pytest.raises(StoreUnavailable, match="401"):
            store.list("Thing")
        token.write_text("second")
        assert len(store.list("Thing")) == 1
        store.close()


def test_nothing_is_left_of_a_store_that_is_closed(client: ApiClient) -> None:
    store = KubernetesStore(client, "kuma-system", (THING, OTHER))
    with watching(store):
        assert [thread for thread in threading.enumerate() if thread.name.startswith("store-kubernetes")]
    store.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store-kubernetes")]
