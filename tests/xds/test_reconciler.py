"""Changes become snapshots: for whom, when, and for whom not."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from kuma_core.errors import StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.changes import ChangeFeed
from kuma_core.resources.contract import Change, Op
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.managers import resource_manager
from kuma_core.testing.platform import make_catalog
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, Generator
from kuma_core.xds.mesh_views import MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.reconciler import Reconciler
from kuma_core.xds.snapshot import EMPTY
from kuma_store_memory.store import MemoryStore

CATALOG = make_catalog([])


class FragileStore(MemoryStore):
    """A memory store that can be made unreachable."""

    broken = False

    def get(self, key):
        self._check()
        return super().get(key)

    def list(self, type, mesh=None):
        self._check()
        return super().list(type, mesh)

    def _check(self):
        if self.broken:
            raise StoreUnavailable("the database is down")


class Bench:
    """A reconciler that runs over a memory store; what it delivers is written down."""

    def __init__(self, generators=None):
        self.store = FragileStore()
        self.resources = resource_manager(self.store, CATALOG.kinds)
        self.deliveries = []
        self.reconciler = Reconciler(
            MeshViews(self.resources), generators or CATALOG.generators, self.deliveries.append
        )
        self.apply(mesh("default"))

    def apply(self, *documents):
        from kuma_core.model import Resource
        from kuma_core.resources.codec import spec_part
        from kuma_core.specs.base import parse_spec

        for document in documents:
            kind = CATALOG.kinds[document["type"]]
            key = kind.key(document.get("mesh", ""), document["name"])
            spec, _ = parse_spec(kind.spec, spec_part(document))
            self.resources.put(Resource(key, spec))

    def delete(self, name, type="Dataplane"):
        self.resources.delete(ResourceKey(type, "default", name))

    def connect(self, *names):
        for name in names:
            self.reconciler.opened(Proxy("default", name))

    @property
    def snapshots(self):
        """The last snapshot delivered to each proxy, by name."""
        found = {}
        for delivery in self.deliveries:
            for proxy, snapshot in {**delivery.at_once, **delivery.afterwards}.items():
                found[proxy.name] = snapshot
        return found

    def delivered_to(self):
        return [
            sorted(proxy.name for proxy in {**item.at_once, **item.afterwards}) for item in self.deliveries
        ]


@contextmanager
def running(bench: Bench):
    feed = ChangeFeed(bench.store)
    feed.listen(bench.reconciler.changed)
    stops = [Stop(), Stop()]
    threads = [
        threading.Thread(target=part.run, args=(stop,))
        for part, stop in zip((bench.reconciler, feed), stops, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        assert bench.reconciler.ready.wait(10)
        yield bench
    finally:
        for stop, thread in zip(stops, threads, strict=True):
            stop.set()
            thread.join(10)
            assert not thread.is_alive()


def echo(name, port, service="echo", **tags):
    return dataplane(name, inbound(f"127.0.0.1:{port}:{port + 1}", service, **tags))


def caller(name, service="echo", port=7100):
    return dataplane(name, inbound("127.0.0.1:8000:8001", name), outbounds=[outbound(f":{port}", service)])


def test_a_proxy_that_connects_gets_its_snapshot():
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"))
        bench.connect("web")
        snapshot = eventually(lambda: bench.snapshots.get("web"))
        assert snapshot.resources(CLUSTER).keys() == {"localhost:8001", "echo"}
        assert snapshot.resources(ENDPOINTS).keys() == {"echo"}
        assert snapshot.resources(LISTENER).keys() == {"inbound:127.0.0.1:8000", "outbound:127.0.0.1:7100"}


def test_nobody_is_generated_who_is_not_connected():
    with running(Bench()) as bench:
        bench.apply(caller("web"), caller("api"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        assert bench.reconciler.work.generated == 1


def test_an_endpoint_change_reaches_its_subscribers_and_nobody_else():
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"), caller("api"), caller("mail", "smtp"))
        bench.connect("web", "api", "mail", "echo-1")
        eventually(lambda: bench.snapshots.keys() == {"web", "api", "mail", "echo-1"})
        bench.deliveries.clear()
        bench.apply(echo("echo-2", 9100))
        eventually(lambda: bench.deliveries)
        assert bench.delivered_to() == [["api", "web"]]


def test_a_write_that_changes_nothing_for_proxies_delivers_nothing():
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        before = bench.reconciler.work.passes
        bench.deliveries.clear()
        bench.apply(mesh("default", tracing={"zipkin": {"address": "x"}}))
        eventually(lambda: bench.reconciler.work.passes > before)
        assert bench.deliveries == []


def test_equal_clusters_of_two_proxies_are_one_object():
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"), caller("api"))
        bench.connect("web", "api")
        eventually(lambda: bench.snapshots.keys() == {"web", "api"})
        web, api = bench.snapshots["web"], bench.snapshots["api"]
        for url in (CLUSTER, ENDPOINTS):
            assert web.resources(url)["echo"] is api.resources(url)["echo"]


def test_a_restart_gives_the_same_versions():
    versions = []
    for _ in range(2):
        with running(Bench()) as bench:
            bench.apply(echo("echo-2", 9100, b="2", a="1"), echo("echo-1", 9000, a="1", b="2"), caller("web"))
            bench.connect("web")
            snapshot = eventually(lambda bench=bench: bench.snapshots.get("web"))
            versions.append([snapshot.version(url) for url in (CLUSTER, ENDPOINTS, LISTENER)])
    assert versions[0] == versions[1]


def test_scenario_47_a_deleted_dataplane_is_emptied_after_its_clients_turned_away():
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"))
        bench.connect("web", "echo-1")
        eventually(lambda: bench.snapshots.keys() == {"web", "echo-1"})
        bench.deliveries.clear()
        bench.delete("echo-1")
        eventually(lambda: bench.deliveries)
        (delivery,) = bench.deliveries
        assert delivery.at_once.keys() == {Proxy("default", "web")}
        assert delivery.afterwards == {Proxy("default", "echo-1"): EMPTY}


def test_a_proxy_that_was_away_when_its_dataplane_was_deleted_is_emptied_on_its_return():
    with running(Bench()) as bench:
        for change in (lambda: bench.apply(caller("web")), lambda: bench.delete("web")):
            before = bench.reconciler.work.passes
            change()
            eventually(lambda before=before: bench.reconciler.work.passes > before)
        bench.connect("web")
        assert eventually(lambda: bench.snapshots.get("web")) is EMPTY


def test_a_proxy_that_never_had_a_dataplane_is_left_alone():
    with running(Bench()) as bench:
        before = bench.reconciler.work.passes
        bench.connect("stranger")
        eventually(lambda: bench.reconciler.work.passes > before)
        assert bench.deliveries == []


def test_scenario_9_other_meshes_are_other_worlds():
    with running(Bench()) as bench:
        bench.apply(mesh("other"), echo("echo-1", 9000), caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        bench.deliveries.clear()
        before = bench.reconciler.work.passes
        bench.apply({**echo("echo-2", 9100), "mesh": "other"})
        eventually(lambda: bench.reconciler.work.passes > before)
        assert bench.deliveries == []


def test_a_generator_that_fails_for_one_proxy_costs_nobody_else_and_is_named():
    def fails_for_web(view):
        if view.proxy.name == "web":
            raise RuntimeError("no idea")
        return ()

    bench = Bench([*CATALOG.generators, Generator("clumsy", 900, fails_for_web)])
    with running(bench):
        bench.apply(caller("web"), caller("api"))
        bench.connect("web", "api")
        eventually(lambda: "api" in bench.snapshots)
        problem = eventually(lambda: bench.reconciler.problem_of("default", "web"))
        assert problem == 'generator "clumsy": RuntimeError: no idea'
        assert "web" not in bench.snapshots


def test_a_burst_of_changes_is_gathered():
    with running(Bench()) as bench:
        bench.apply(caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        before = bench.reconciler.work.passes
        for port in range(9000, 9100):
            bench.apply(echo(f"echo-{port}", port))
        eventually(lambda: _ports(bench.snapshots["web"]) == 100)
        assert bench.reconciler.work.passes - before < 20


def _ports(snapshot):
    from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment

    from kuma_core.xds.fields import Fields

    packed = Fields(snapshot.resources(ENDPOINTS)["echo"].sotw).last(2)
    assignment = ClusterLoadAssignment.parse(Fields(packed).last(2))
    return len(assignment.endpoints[0].lb_endpoints)


def test_an_unreachable_store_costs_time_only(monkeypatch):
    monkeypatch.setattr("kuma_core.xds.reconciler.RETRY_SECONDS", 0.05)
    with running(Bench()) as bench:
        bench.apply(caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        bench.apply(echo("echo-0", 8900))
        eventually(lambda: _ports(bench.snapshots["web"]) == 1)
        bench.store.broken = True
        bench.connect("api")
        super(FragileStore, bench.store).create(ResourceKey("Dataplane", "default", "api"), "{}")
        bench.store.broken = False
        bench.apply(caller("api"), echo("echo-1", 9000))
        eventually(lambda: "api" in bench.snapshots)
        eventually(lambda: _ports(bench.snapshots["web"]) == 2)


def test_who_comes_while_the_store_is_unreachable_is_served_from_memory(monkeypatch):
    monkeypatch.setattr("kuma_core.xds.reconciler.RETRY_SECONDS", 0.05)
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"), caller("api"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        bench.apply(caller("late"))
        bench.store.broken = True
        bench.connect("api")
        eventually(lambda: "api" in bench.snapshots)
        bench.reconciler.changed(Change(Op.RESYNC))
        bench.connect("nobody")
        bench.reconciler.closed(Proxy("default", "web"))
        bench.connect("web")
        eventually(lambda: bench.delivered_to().count(["web"]) == 2)
        assert "nobody" not in bench.snapshots
        bench.store.broken = False
        bench.apply(caller("nobody"))
        eventually(lambda: "nobody" in bench.snapshots)
        assert bench.delivered_to().count(["web"]) == 2


def test_who_comes_before_the_store_was_ever_read_waits_for_it(monkeypatch):
    monkeypatch.setattr("kuma_core.xds.reconciler.RETRY_SECONDS", 0.05)
    bench = Bench()
    bench.apply(echo("echo-1", 9000))
    bench.store.broken = True
    bench.connect("echo-1")

    def mended():
        bench.store.broken = False

    timer = threading.Timer(0.3, mended)
    timer.start()
    with running(bench):
        assert eventually(lambda: bench.snapshots.get("echo-1")) is not EMPTY
    timer.join()


def test_a_store_that_was_emptied_behind_our_back_empties_nobody(monkeypatch):
    monkeypatch.setattr("kuma_core.xds.reconciler.RETRY_SECONDS", 0.05)
    with running(Bench()) as bench:
        bench.apply(echo("echo-1", 9000), caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        kept, before = bench.snapshots["web"], dict(bench.store._records)
        bench.store._records.clear()
        bench.reconciler.changed(Change(Op.RESYNC))
        with pytest.raises(StoreUnavailable, match="no mesh in it any more"):
            bench.reconciler.ask(lambda views: views.mesh("default"), 5)
        assert bench.snapshots["web"] is kept
        bench.store._records.update(before)
        bench.apply(echo("echo-2", 9002))
        eventually(lambda: bench.snapshots["web"] is not kept)


def test_meshes_that_are_deleted_one_after_the_other_are_gone():
    with running(Bench()) as bench:
        bench.apply(caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        bench.delete("default", type="Mesh")
        eventually(lambda: bench.snapshots["web"] is EMPTY)
        bench.reconciler.changed(Change(Op.RESYNC))
        assert bench.reconciler.ask(lambda views: views.mesh("default").mesh, 5) is None


def test_the_last_mesh_is_deleted_among_many_changes(monkeypatch):
    """So many that everything is read anew: the deletion was told, and so it is believed."""
    monkeypatch.setattr("kuma_core.xds.mesh_views.MANY_CHANGES", 2)
    with running(Bench()) as bench:
        bench.apply(caller("web"), *(echo(f"echo-{n}", 9000 + n) for n in range(5)))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        before = dict(bench.store._records)
        bench.store._records.clear()
        for key in reversed(before):
            bench.reconciler.changed(Change(Op.DELETE, key))
        eventually(lambda: bench.snapshots["web"] is EMPTY)


def test_a_record_that_cannot_be_read_costs_its_own_dataplane_only():
    bench = Bench()
    bench.store.create(ResourceKey("Dataplane", "default", "odd"), '{"networking": 5}')
    with running(bench):
        bench.apply(caller("web"))
        bench.connect("web", "odd")
        eventually(lambda: "web" in bench.snapshots)
        assert "odd" not in bench.snapshots


@pytest.mark.parametrize("service", ["echo", "smtp"])
def test_a_proxy_that_changes_what_it_calls_follows_the_new_service(service):
    with running(Bench()) as bench:
        bench.apply(caller("web", "other"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        bench.apply(caller("web", service))
        eventually(lambda: service in bench.snapshots["web"].resources(CLUSTER))
        bench.apply(echo("x-1", 9000, service))
        eventually(lambda: b"x-1" not in bench.snapshots["web"].resources(ENDPOINTS)[service].sotw)
        eventually(lambda: bench.snapshots["web"].resources(ENDPOINTS)[service].version)


def test_very_many_changes_at_once_are_read_as_a_whole(monkeypatch):
    monkeypatch.setattr(
        "kuma_core.xds.mesh_views.MANY_CHANGES", 50
    )  # so many come in a second on any machine
    bench = Bench()
    with running(bench):
        bench.apply(caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        lists = []
        original = bench.store.list
        bench.store.list = lambda *args: lists.append(args) or original(*args)
        bench.apply(*(echo(f"echo-{port}", port) for port in range(10000, 11000, 2)))
        eventually(lambda: _ports(bench.snapshots["web"]) == 500)
        assert lists, "500 changes in a burst are not looked at one by one"


class Slowly:
    """A generator that takes its time for every proxy of a mesh, and says so."""

    def __init__(self, mesh, seconds):
        self.mesh, self.seconds, self.made = mesh, seconds, []
        self.generator = Generator("slowly", 900, self._generate)

    def _generate(self, view):
        if view.proxy.mesh == self.mesh:
            self.made.append(view.proxy.name)
            time.sleep(self.seconds)
        return ()


def test_a_large_mesh_does_not_delay_another():
    slowly = Slowly("default", 0.02)
    with running(Bench([*CATALOG.generators, slowly.generator])) as bench:
        bench.apply(
            mesh("other"), {**caller("api"), "mesh": "other"}, *(caller(f"w-{n}") for n in range(100))
        )
        bench.connect(*(f"w-{n}" for n in range(100)))
        eventually(lambda: slowly.made)
        bench.reconciler.opened(Proxy("other", "api"))
        eventually(lambda: "api" in bench.snapshots)
        assert len(slowly.made) < 50
        assert bench.delivered_to()[0] == ["api"], (
            "a mesh is delivered as a whole, and after that of less work"
        )
        eventually(lambda: len(bench.snapshots) == 101)


def test_who_is_generated_late_in_a_round_misses_no_change_of_meanwhile():
    """Its services were not known yet when the change came, and its round shows the mesh as it was before."""
    slowly = Slowly("default", 0.02)
    with running(Bench([*CATALOG.generators, slowly.generator])) as bench:
        bench.apply(echo("echo-1", 9000), *(caller(f"w-{n:02}") for n in range(40)))
        bench.reconciler.ask(lambda views: None, 10)
        bench.connect(*(f"w-{n:02}" for n in range(40)))
        eventually(lambda: slowly.made)
        bench.apply(echo("echo-2", 9100))
        eventually(lambda: len(bench.snapshots) == 40)
        eventually(lambda: {_ports(bench.snapshots[f"w-{n:02}"]) for n in range(40)} == {2})


def test_a_burst_in_one_mesh_does_not_delay_another():
    with running(Bench()) as bench:
        bench.apply(mesh("other"), echo("echo-0", 8000), {**caller("api"), "mesh": "other"}, caller("web"))
        bench.connect("web")
        bench.reconciler.opened(Proxy("other", "api"))
        eventually(lambda: bench.snapshots.keys() == {"web", "api"})
        time.sleep(0.1)
        ports = iter(range(9000, 9999, 2))
        stop = threading.Event()

        def burst():
            while not stop.wait(0.01):
                bench.apply(echo(f"echo-{next(ports)}", next(ports)))

        thread = threading.Thread(target=burst)
        thread.start()
        try:
            time.sleep(0.2)
            began = time.monotonic()
            bench.apply({**echo("echo-1", 9000), "mesh": "other"})
            eventually(lambda: _ports(bench.snapshots["api"]) == 1)
            assert time.monotonic() - began < 0.5, "the burst of the other mesh lasts a second"
        finally:
            stop.set()
            thread.join(10)


def test_a_store_that_fails_again_and_again_is_not_asked_all_the_time(monkeypatch):
    with running(Bench()) as bench:
        bench.apply(caller("web"))
        bench.connect("web")
        eventually(lambda: "web" in bench.snapshots)
        asked = []
        monkeypatch.setattr(bench.reconciler._views, "apply", lambda changes: asked.append(1) or fail(bench))
        bench.reconciler.changed(Change(Op.RESYNC))
        bench.connect("stranger")
        time.sleep(0.5)
        assert 1 <= len(asked) <= 3


def fail(bench):
    bench.reconciler._views.stale = True
    raise StoreUnavailable("the database is down")


def test_settling_waits_until_everything_so_far_is_handed_over():
    """What the reconciler was told before is delivered when ``settle`` returns, however its rounds are cut."""
    with running(Bench([slow_generator(0.02)])) as bench:
        names = [f"web-{n}" for n in range(10)]
        bench.apply(*(caller(name) for name in names))
        for name in names:
            bench.reconciler.changed(Change(Op.PUT, ResourceKey("Dataplane", "default", name)))
        bench.connect(*names)
        bench.reconciler.settle(10)
        assert bench.snapshots.keys() == set(names)


def test_settling_needs_no_change_and_says_when_the_store_is_away():
    with running(Bench()) as bench:
        bench.reconciler.settle(10)
        bench.store.broken = True
        bench.reconciler.changed(Change(Op.RESYNC))
        with pytest.raises(StoreUnavailable):
            bench.reconciler.settle(10)
        bench.store.broken = False


def slow_generator(seconds):
    def generate(view):
        time.sleep(seconds)
        yield from CATALOG.generators[0].generate(view)

    return Generator("slow", 1, generate)
