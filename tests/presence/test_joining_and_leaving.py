"""An instance is an endpoint for others from joining until leaving: what each caller's Envoy has of it, and when."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kuma_core.builtin.cluster.kinds import INSTANCE
from kuma_core.builtin.presence.contract import Presence
from kuma_core.testing.fake_envoy import Fleet
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import ENDPOINTS, LISTENER
from kuma_store_memory.store import MemoryStore

from .support import CALLER, control_plane, endpoints, envoy, silent, tell, web

Both = tuple[RunningPlatform, Fleet]


@pytest.fixture(scope="module")
def everything() -> Iterator[Both]:
    with control_plane() as found:
        yield found


@pytest.fixture
def cp(everything: Both) -> Iterator[RunningPlatform]:
    platform, _ = everything
    platform.apply(CALLER, web(1))
    platform.catch_up()
    yield platform
    for name in ("web-1", "web-2", "caller"):
        platform.delete(f"/meshes/default/dataplanes/{name}")


@pytest.fixture
def caller(everything: Both, cp: RunningPlatform) -> Iterator[DeltaClient]:
    client = envoy("caller")
    connected = everything[1].connect(client)
    eventually(lambda: client.count(ENDPOINTS))
    yield client
    everything[1].disconnect(connected)


@pytest.fixture
def envoys(everything: Both) -> Fleet:
    return everything[1]


def test_one_for_whom_nobody_tells_serves_once_it_accepted_its_listeners(
    cp: RunningPlatform, envoys: Fleet, caller: DeltaClient
) -> None:
    cp.catch_up()
    assert endpoints(caller) == [], "nobody is behind the Dataplane yet"
    connected = envoys.connect(envoy("web-1"))
    eventually(lambda: endpoints(caller) == ["10.0.0.1"])
    envoys.disconnect(connected)
    cp.apply(web(2))
    envoys.disconnect(envoys.connect(envoy("web-2")))
    cp.catch_up()
    assert "10.0.0.1" in endpoints(caller), "one that is offline stays, as in the reference"


def test_one_that_refuses_its_listeners_does_not_serve(
    cp: RunningPlatform, envoys: Fleet, caller: DeltaClient
) -> None:
    refusing = envoy("web-1")
    refusing.reject[LISTENER] = "Address already in use"
    connected = envoys.connect(refusing)
    eventually(lambda: refusing.count(LISTENER))
    eventually(lambda: "rejected" in str(cp.get("/meshes/default/dataplanes+insights/web-1").body["status"]))
    cp.catch_up()
    assert endpoints(caller) == []
    envoys.disconnect(connected)


def test_one_whose_kuma_dp_tells_serves_from_then_on_and_no_more_once_it_leaves(
    cp: RunningPlatform, envoys: Fleet, caller: DeltaClient
) -> None:
    quick, instance = envoy("web-1", tells=True), envoy("web-2")
    connected = [envoys.connect(quick)]
    eventually(lambda: quick.count(LISTENER))
    cp.apply(web(2))
    connected.append(envoys.connect(instance))
    eventually(lambda: endpoints(caller) == ["10.0.0.2"])
    assert tell(cp, "web-1", True).body == {"serving": True, "pending": 0}
    eventually(lambda: endpoints(caller) == ["10.0.0.1", "10.0.0.2"])
    assert tell(cp, "web-1", False).body == {"serving": False, "pending": 0}
    assert endpoints(caller) == ["10.0.0.2"], "whoever leaves is told when the others have turned away"
    assert tell(cp, "web-1", True).status == 200
    eventually(lambda: endpoints(caller) == ["10.0.0.1", "10.0.0.2"])
    for each in connected:
        envoys.disconnect(each)


def test_whoever_leaves_is_told_of_a_caller_that_has_not_turned_away(
    cp: RunningPlatform, envoys: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuma_core.api.serving.WAIT_SECONDS", 0.5)
    tell(cp, "web-1", True)
    deaf = envoy("caller")
    connected = envoys.connect(deaf)
    eventually(lambda: endpoints(deaf) == ["10.0.0.1"])
    with silent(deaf):
        assert tell(cp, "web-1", False).body == {"serving": False, "pending": 1}
    envoys.disconnect(connected)
    assert tell(cp, "web-1", False).body == {"serving": False, "pending": 0}, "who is gone is not waited for"


def test_soon_after_a_start_callers_that_are_on_their_way_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They were at a control plane that ended, and have the endpoints of that time."""
    monkeypatch.setattr("kuma_core.builtin.presence.leaving.ARRIVING_SECONDS", 3600.0)
    with control_plane() as (cp, envoys):
        cp.apply(CALLER, web(1))
        presence = cp.platform.core.offer("builtin.presence", Presence)
        assert presence.set_serving("default", "caller", True)
        assert presence.set_serving("default", "web-1", True)
        eventually(lambda: _shown(cp, "caller") == _shown(cp, "web-1") == "Serving")
        presence.set_serving("default", "web-1", False)
        assert presence.wait_left("default", "web-1", 0.5) == 1
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(presence.wait_left, "default", "web-1", 60.0)
            came = envoys.connect(envoy("caller"))
            assert waiting.result() == 0
        envoys.disconnect(came)
        assert presence.wait_left("default", "web-1", 60.0) == 0, "nobody is asked twice of one that left"


def test_later_nobody_is_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuma_core.builtin.presence.leaving.ARRIVING_SECONDS", 0.0)
    with control_plane() as (cp, _):
        cp.apply(CALLER, web(1))
        presence = cp.platform.core.offer("builtin.presence", Presence)
        presence.set_serving("default", "caller", True)
        eventually(lambda: _shown(cp, "caller") == "Serving")
        presence.set_serving("default", "web-1", False)
        assert presence.wait_left("default", "web-1", 60.0) == 0


def _shown(cp: RunningPlatform, name: str) -> object:
    """The word for a Dataplane's presence."""
    return cp.get(f"/meshes/default/dataplanes+insights/{name}").body["presence"]["state"]


def test_a_question_alone_changes_nothing(cp: RunningPlatform) -> None:
    assert tell(cp, "web-1", None).body == {"serving": None, "pending": 0}
    tell(cp, "web-1", True)
    assert tell(cp, "web-1", None).body == {"serving": True, "pending": 0}
    tell(cp, "web-1", False)
    assert tell(cp, "web-1", None).body == {"serving": False, "pending": 0}


def test_what_is_applied_again_serves_on_and_reads_back_as_it_was_put(
    cp: RunningPlatform, envoys: Fleet, caller: DeltaClient
) -> None:
    tell(cp, "web-1", True)
    eventually(lambda: endpoints(caller) == ["10.0.0.1"])
    moved = web(3) | {"name": "web-1"}
    cp.apply(moved)
    eventually(lambda: endpoints(caller) == ["10.0.0.3"])
    assert cp.get("/meshes/default/dataplanes/web-1").body == moved


def test_a_dataplane_that_is_deleted_takes_along_what_was_told_of_it(
    cp: RunningPlatform, envoys: Fleet, caller: DeltaClient
) -> None:
    tell(cp, "web-1", True)
    eventually(lambda: endpoints(caller) == ["10.0.0.1"])
    cp.delete("/meshes/default/dataplanes/web-1")
    eventually(lambda: endpoints(caller) == [])
    cp.apply(web(1))
    cp.catch_up()
    assert tell(cp, "web-1", None).body["serving"] is None
    assert endpoints(caller) == []


@pytest.mark.parametrize("tells", [True, False])
def test_a_dataplane_that_is_back_serves_again_for_its_proxy_is_there_still(
    cp: RunningPlatform, envoys: Fleet, caller: DeltaClient, tells: bool
) -> None:
    connected = envoys.connect(envoy("web-1", tells))
    if tells:
        tell(cp, "web-1", True)
    eventually(lambda: endpoints(caller) == ["10.0.0.1"])
    cp.delete("/meshes/default/dataplanes/web-1")
    cp.apply(web(3) | {"name": "web-1"})
    eventually(lambda: endpoints(caller) == ["10.0.0.3"])
    envoys.disconnect(connected)


def test_a_plugin_tells_of_instances_too(cp: RunningPlatform, envoys: Fleet, caller: DeltaClient) -> None:
    presence: Presence = cp.offer("builtin.presence", Presence)
    assert presence.set_serving("default", "web-1", True)
    assert not presence.set_serving("default", "web-1", True), "it is no news, and not written"
    eventually(lambda: endpoints(caller) == ["10.0.0.1"])
    assert presence.serving("default", "web-1")
    assert presence.set_serving("default", "web-1", False)
    assert presence.wait_left("default", "web-1", 30) == 0
    assert endpoints(caller) == []
    instance = envoy("web-1")
    connected = envoys.connect(instance)
    eventually(lambda: instance.count(LISTENER))
    cp.catch_up()
    assert endpoints(caller) == [], "the platform knows better than the listeners"
    envoys.disconnect(connected)


def test_who_may_not_open_the_proxys_streams_may_not_speak_for_it(cp: RunningPlatform) -> None:
    other, nobody = tell(cp, "web-1", True, cp.token("caller")), tell(cp, "web-1", True, "")
    assert (other.status, nobody.status) == (401, 401)
    assert other.body["title"] == nobody.body["title"] == "Could not tell whether an instance serves"
    assert "web-1" in other.body["details"] or "caller" in other.body["details"]
    assert tell(cp, "web-1", None).body["serving"] is None
    token = cp.token("web-1")
    cp.request("POST", "/tokens/revocations", {"token": token}, cp.admin)
    eventually(lambda: tell(cp, "web-1", True, token).status == 401)


def test_what_is_wrong_with_a_request_is_told(cp: RunningPlatform) -> None:
    missing = tell(cp, "web-9", True)
    assert (missing.status, missing.body["details"]) == (
        404,
        'There is no Dataplane "web-9" in mesh "default"; apply it first',
    )
    wrong = cp.request("POST", "/serving", {"mesh": "", "serving": "yes"}, cp.bootstrap)
    assert wrong.status == 400
    assert [cause["field"] for cause in wrong.body["causes"]] == ["mesh", "name", "serving"]
    assert cp.request("GET", "/serving", None, cp.bootstrap).status == 405


def test_everybody_is_an_endpoint_at_once_where_the_operator_wants_that() -> None:
    with control_plane(settings={"KUMA_XDS_SERVER_ENDPOINTS": "registered"}) as (cp, envoys):
        cp.apply(CALLER, web(1))
        client = envoy("caller")
        envoys.connect(client)
        eventually(lambda: endpoints(client) == ["10.0.0.1"])
        assert tell(cp, "web-1", False).body == {"serving": None, "pending": 0}
        cp.catch_up()
        assert endpoints(client) == ["10.0.0.1"]


def test_who_serves_does_so_after_a_restart_too() -> None:
    store = SharedStore(MemoryStore())
    with control_plane(store) as (cp, envoys):
        cp.apply(CALLER, web(1), web(2), web(3))
        tell(cp, "web-1", True)
        tell(cp, "web-2", True)
        tell(cp, "web-2", False)
    with control_plane(store) as (cp, envoys):
        client = envoy("caller")
        envoys.connect(client)
        eventually(lambda: endpoints(client) == ["10.0.0.1"])


@pytest.mark.parametrize("comes_first", [True, False])
def test_proxies_that_come_back_find_what_a_store_in_memory_has_forgotten(comes_first: bool) -> None:
    """Nobody knows any more who served, and callers are to find it as before: it is not gone for a moment."""
    client = envoy("caller")
    with control_plane() as (cp, envoys):
        cp.apply(CALLER, web(1))
        tell(cp, "web-1", True)
        envoys.connect(client)
        eventually(lambda: endpoints(client) == ["10.0.0.1"])
    before = len(client.received)
    with control_plane() as (cp, envoys):
        streams = cp.platform.core.proxies.streams
        if comes_first:
            envoys.connect(client)
            eventually(streams.connected)
        cp.apply(web(1), CALLER)
        if not comes_first:
            envoys.connect(client)
        overview = "/meshes/default/dataplanes+insights/caller"
        eventually(lambda: cp.get(overview).body["status"]["state"] == "Online")
        cp.catch_up()
        assert endpoints(client) == ["10.0.0.1"]
        told = [item for item in client.received[before:] if item.type_url == ENDPOINTS]
        assert [item.version for item in told] in ([], [client.received[before - 1].version]), (
            "nothing else was told"
        )
        tell(cp, "web-1", False)
        eventually(lambda: endpoints(client) == [])


def test_instances_of_an_earlier_version_serve_on_and_new_ones_do_not() -> None:
    """The reference's setting stores nothing of those for whom nobody tells; nor did earlier versions."""
    store = SharedStore(MemoryStore())
    with control_plane(store, settings={"KUMA_XDS_SERVER_ENDPOINTS": "registered"}) as (cp, envoys):
        cp.apply(CALLER, web(1), web(2), web(3))
        for client in (envoy("web-1"), envoy("web-2", tells=True)):
            envoys.connect(client)
        for name in ("web-1", "web-2"):
            path = f"/meshes/default/dataplanes+insights/{name}"
            eventually(lambda path=path: cp.get(path).body["dataplaneInsight"].get("subscriptions"))
    with control_plane(store) as (cp, envoys):
        client = envoy("caller")
        envoys.connect(client)
        eventually(lambda: endpoints(client) == ["10.0.0.1"])
        cp.delete("/meshes/default/dataplanes/web-1")
        eventually(lambda: endpoints(client) == [])
        cp.apply(web(1))
        cp.catch_up()
        assert endpoints(client) == [], "another one of the name is another one"


def test_all_control_planes_know_who_serves() -> None:
    store = SharedStore(MemoryStore())
    with control_plane(store) as (cp, _), control_plane(store) as (_, elsewhere):
        cp.apply(CALLER, web(1))
        client = envoy("caller")
        elsewhere.connect(client)
        tell(cp, "web-1", True)
        eventually(lambda: endpoints(client) == ["10.0.0.1"])
        assert tell(cp, "web-1", False).body["pending"] == 0
        assert endpoints(client) == [], "the other one said that its proxies have turned away"


def test_a_caller_of_another_control_plane_that_has_not_turned_away_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kuma_core.api.serving.WAIT_SECONDS", 2.0)
    monkeypatch.setattr("kuma_core.builtin.presence.others.ANSWER_SECONDS", 0.1)
    store = SharedStore(MemoryStore())
    with control_plane(store) as (cp, _), control_plane(store) as (_, elsewhere):
        cp.apply(CALLER, web(1))
        deaf = envoy("caller")
        connected = elsewhere.connect(deaf)
        tell(cp, "web-1", True)
        eventually(lambda: endpoints(deaf) == ["10.0.0.1"])
        with silent(deaf):
            assert tell(cp, "web-1", False).body == {"serving": False, "pending": 1}
        elsewhere.disconnect(connected)
        eventually(lambda: tell(cp, "web-1", None).body == {"serving": False, "pending": 0})


def test_callers_of_a_control_plane_that_was_killed_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they are at another one, or until everybody knows that it is dead; its record tells of it until then."""
    monkeypatch.setattr("kuma_core.builtin.presence.leaving.ARRIVING_SECONDS", 0.0)
    monkeypatch.setattr("kuma_core.builtin.presence.leaving.ASK_SECONDS", 0.1)
    store = MemoryStore()
    with control_plane(SharedStore(store)) as (cp, envoys):
        cp.apply(CALLER, web(1), web(2))
        presence = cp.platform.core.offer("builtin.presence", Presence)
        for name in ("caller", "web-1", "web-2"):
            presence.set_serving("default", name, True)
            eventually(lambda name=name: _shown(cp, name) == "Serving")  # type: ignore[misc]
        dead = INSTANCE.key("", "dead")
        store.create(dead, '{"beats": 7}')
        presence.set_serving("default", "web-1", False)
        assert presence.wait_left("default", "web-1", 0.5) == 1
        came = envoys.connect(envoy("caller"))
        assert presence.wait_left("default", "web-1", 60.0) == 0
        envoys.disconnect(came)
        store.delete(dead)
        presence.set_serving("default", "web-2", False)
        assert presence.wait_left("default", "web-2", 60.0) == 0, "who is offline at rest is not waited for"


def test_all_instances_of_a_machine_leave_at_once() -> None:
    numbers = range(1, 25)
    with control_plane() as (cp, envoys), ThreadPoolExecutor(len(numbers)) as threads:
        cp.apply(CALLER, *map(web, numbers))
        client = envoy("caller")
        envoys.connect(client)
        tokens = {f"web-{number}": cp.token(f"web-{number}") for number in numbers}
        for name, token in tokens.items():
            tell(cp, name, True, token)
        eventually(lambda: len(endpoints(client)) == len(numbers))
        answers = list(threads.map(lambda item: tell(cp, item[0], False, item[1]), tokens.items()))
        assert [answer.body for answer in answers] == [{"serving": False, "pending": 0}] * len(numbers)
        assert endpoints(client) == []
        asked = list(threads.map(lambda name: tell(cp, name, None, ""), tokens))
        assert [answer.body for answer in asked] == [{"serving": False, "pending": 0}] * len(numbers)


def test_a_dry_run_of_a_new_instance_tells_what_happens_until_it_serves() -> None:
    with control_plane() as (cp, envoys):
        cp.apply(CALLER)
        envoys.connect(envoy("caller"))
        answer = cp.put("/meshes/default/dataplanes/web-1?dry-run=xds", web(1))
        assert "caller" not in str(answer.body.get("proxies"))
