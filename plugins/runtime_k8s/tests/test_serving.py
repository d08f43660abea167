"""Others call a Pod while it is ready, until it is deleted, with a double of the API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.controllers import pod_controller, serving
from kuma_runtime_k8s.controllers.pod_controller import DATAPLANES, SERVICES, PodController
from kuma_runtime_k8s.controllers.serving import Deputy, Serving
from kuma_runtime_k8s.pods import PATH as PODS
from kuma_runtime_k8s.pods import FollowedPods, Pods

from .fake_api import FakeApi
from .parts import FakePresence, running
from .test_pod_controller import a_service, pod

SERVES, LEAVES = ("default", "example.demo", True), ("default", "example.demo", False)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    monkeypatch.setattr(pod_controller, "WAIT_STEP", 0.05)
    monkeypatch.setattr(serving, "NOT_THERE_YET", 0.02)
    monkeypatch.setattr(serving, "LEADERS_TURN", 0.02)
    monkeypatch.setattr(serving, "AFTER_OTHERS", 0.02)
    made = FakeApi()
    made.put(SERVICES, a_service("web", "10.0.0.1"))
    return made


@pytest.fixture
def presence() -> FakePresence:
    return FakePresence()


@contextmanager
def leading(api: FakeApi, presence: FakePresence) -> Iterator[None]:
    pods = Pods()
    with running(FollowedPods(api, pods), PodController(api, pods, "cp-1", presence)):
        yield


@contextmanager
def following(api: FakeApi, presence: FakePresence) -> Iterator[None]:
    """A control plane that does not lead."""
    pods = Pods()
    with running(FollowedPods(api, pods), Deputy(api, pods, presence)):
        yield


def a_pod(ready: bool | None = None, deleted: bool = False, uid: str = "", **more: Any) -> dict[str, Any]:
    made = pod(**more)
    if ready is not None:
        other = {"type": "ContainersReady", "status": "True"}
        made["status"]["conditions"] = [other, {"type": "Ready", "status": str(ready)}]
    if deleted:
        made["metadata"]["deletionTimestamp"] = "2026-11-27T23:00:00Z"
    if uid:
        made["metadata"]["uid"] = uid
    return made


def test_a_pod_serves_while_it_is_ready(api: FakeApi, presence: FakePresence) -> None:
    with leading(api, presence):
        api.put(PODS, a_pod())
        eventually(lambda: api.get(DATAPLANES, "example", "demo"))
        api.put(PODS, a_pod(ready=False))
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        api.put(PODS, a_pod(ready=False))
        eventually(lambda: presence.words == [SERVES, LEAVES])
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES, LEAVES, SERVES])


def test_a_pod_that_is_deleted_leaves_though_it_is_ready(api: FakeApi, presence: FakePresence) -> None:
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        api.put(PODS, a_pod(ready=True, deleted=True))
        eventually(lambda: presence.words == [SERVES, LEAVES])


def test_also_one_that_lost_its_services(api: FakeApi, presence: FakePresence) -> None:
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        api.remove(SERVICES, "web", "demo")
        api.put(PODS, a_pod(ready=True, deleted=True))
        eventually(lambda: presence.words == [SERVES, LEAVES])


def test_what_is_told_is_told_once(api: FakeApi, presence: FakePresence) -> None:
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        api.put(PODS, a_pod(ready=True, version="2"))
        eventually(lambda: "2" in str(api.get(DATAPLANES, "example", "demo")))
        api.put(PODS, a_pod(ready=True, name="other", ip="192.168.0.2"))
        eventually(lambda: len(presence.words) == 2)
    assert presence.words == [SERVES, ("default", "other.demo", True)]
    assert presence.asked == [], "nothing is read to know that nothing changed"


def test_a_dataplane_that_is_not_known_yet_is_waited_for(api: FakeApi, presence: FakePresence) -> None:
    presence.missing = {"example.demo"}
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: api.get(DATAPLANES, "example", "demo"))
        presence.missing = set()
        eventually(lambda: presence.words == [SERVES])


def test_a_dataplane_that_was_deleted_serves_again_when_it_is_back(
    api: FakeApi, presence: FakePresence
) -> None:
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        presence.forget("default", "example.demo")
        api.remove(DATAPLANES, "example", "demo")
        eventually(lambda: presence.words == [SERVES, SERVES])


def test_another_pod_of_the_name_has_to_be_ready_itself(presence: FakePresence) -> None:
    told, place = Serving(presence), ("demo", "example")
    told.tell(place, a_pod(ready=True))
    told.tell(place, a_pod(ready=False, uid="another"))
    assert presence.words == [SERVES, LEAVES]


def test_a_mesh_that_changes_is_told_of_anew(presence: FakePresence) -> None:
    told, place, other = Serving(presence), ("demo", "example"), a_pod(ready=True)
    told.tell(place, a_pod(ready=True))
    other["metadata"]["annotations"]["kuma.io/mesh"] = "other"
    told.tell(place, other)
    assert presence.words == [SERVES, ("other", "example.demo", True)]


def test_a_new_leader_writes_what_changed_meanwhile(api: FakeApi, presence: FakePresence) -> None:
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
    api.put(PODS, a_pod(ready=True, deleted=True))
    with leading(api, presence):
        eventually(lambda: presence.words == [SERVES, LEAVES])


# -- without a leader


def test_every_control_plane_tells_that_a_pod_is_deleted(api: FakeApi, presence: FakePresence) -> None:
    presence.set_serving(*SERVES)
    with following(api, presence):
        api.put(PODS, a_pod(ready=True))
        api.put(PODS, a_pod(ready=True, deleted=True))
        eventually(lambda: presence.words == [SERVES, LEAVES])


def test_also_one_that_came_after_that(api: FakeApi, presence: FakePresence) -> None:
    presence.set_serving(*SERVES)
    api.put(PODS, a_pod(ready=True, deleted=True))
    with following(api, presence):
        eventually(lambda: presence.words == [SERVES, LEAVES])


def test_where_the_leader_told_it_nothing_is_asked(api: FakeApi, presence: FakePresence) -> None:
    presence.set_serving(*LEAVES)
    api.put(PODS, a_pod(deleted=True))
    with following(api, presence):
        eventually(lambda: presence.asked)
    assert not [path for method, path, _ in api.requests if method == "GET" and "/pods/" in path]
    assert presence.words == [LEAVES]


@pytest.mark.parametrize("now", [None, a_pod(ready=True, uid="another"), a_pod(uid="another", deleted=True)])
def test_a_pod_that_has_a_successor_by_now_is_not_told_of(
    presence: FakePresence, now: dict[str, Any] | None
) -> None:
    """What a control plane that is behind knows of is over: the word would be one of the other Pod."""
    api, pods = FakeApi(), Pods()
    presence.set_serving(*SERVES)
    pods.put(a_pod(deleted=True))
    if now:
        api.put(PODS, now)
    assert Deputy(api, pods, presence)._look(("demo", "example")) is None
    assert presence.words == [SERVES]


def test_a_pod_that_is_ready_is_told_of_too(api: FakeApi, presence: FakePresence) -> None:
    """In a rolling update the Pod before it is deleted then, and nobody would be called."""
    with following(api, presence):
        api.put(PODS, a_pod(ready=False))
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        api.put(PODS, a_pod(ready=True, more="labels"))
        api.put(PODS, a_pod(ready=True, name="other"))
        eventually(lambda: len(presence.words) == 2)
    assert presence.asked == ["example.demo", "other.demo"], "what does not change costs no question"


def test_others_are_nobodys_business(api: FakeApi, presence: FakePresence) -> None:
    with following(api, presence):
        api.put(PODS, a_pod(ready=False))
        api.put(PODS, a_pod(deleted=True, name="other"))
        eventually(lambda: presence.asked == ["other.demo"])


def test_the_pod_that_takes_the_place_of_another_is_called_first(
    api: FakeApi, presence: FakePresence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a rolling update of one Pod nobody would be there otherwise."""
    monkeypatch.setattr(serving, "AFTER_OTHERS", 2.0)
    with leading(api, presence):
        api.put(PODS, a_pod(ready=True))
        eventually(lambda: presence.words == [SERVES])
        api.put(PODS, a_pod(ready=True, deleted=True))
        api.put(PODS, a_pod(ready=True, name="next", ip="192.168.0.2"))
        eventually(lambda: presence.words == [SERVES, ("default", "next.demo", True), LEAVES])
