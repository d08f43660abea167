"""Pods and Services become Dataplanes, with a double of the API server; the real one is in test_kube.py."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.controllers import pod_controller
from kuma_runtime_k8s.controllers.pod_controller import DATAPLANES, SERVICES, PodController
from kuma_runtime_k8s.pods import PATH as PODS
from kuma_runtime_k8s.pods import FollowedPods, Pods

from .fake_api import FakeApi, Refusal
from .parts import FakePresence, running
from .test_dataplanes import POD, service

EVENTS = "/apis/events.k8s.io/v1/events"


@contextmanager
def leading(api: FakeApi) -> Iterator[None]:
    """A control plane that leads."""
    pods = Pods()
    with running(FollowedPods(api, pods), PodController(api, pods, "cp-1", FakePresence())):
        yield


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    monkeypatch.setattr(pod_controller, "PATIENCE", 0.2)
    monkeypatch.setattr(pod_controller, "WAIT_STEP", 0.05)
    return FakeApi()


def pod(
    name: str = "example", namespace: str = "demo", ip: str = "192.168.0.1", **labels: str
) -> dict[str, Any]:
    made = copy.deepcopy(POD)
    made["metadata"] |= {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    made["metadata"]["labels"] |= labels
    made["status"]["podIP"] = ip
    return made


def of(api: FakeApi, name: str = "example", namespace: str = "demo") -> Any:
    """What the Dataplane listens on; empty lists where there is none."""
    found = api.get(DATAPLANES, name, namespace)
    return {"inbound": [], "outbound": [], **((found or {}).get("spec", {}).get("networking") or {})}


def a_service(name: str, ip: str, namespace: str = "demo", **selector: str) -> dict[str, Any]:
    return service(
        name, (80, 8080), namespace=namespace, clusterIP=ip, selector=selector or {"app": "example"}
    )


def test_a_pod_and_a_service_become_a_dataplane(api: FakeApi) -> None:
    with leading(api):
        api.put(PODS, pod())
        api.put(SERVICES, a_service("web", "10.0.0.1"))
        eventually(lambda: of(api)["inbound"])
        eventually(
            lambda: of(api)["outbound"] == [{"interface": "10.0.0.1:80", "service": "web.demo.svc:80"}]
        )
        found = api.get(DATAPLANES, "example", "demo")
        assert found
        assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == ["uid-example"]
        api.put(SERVICES, a_service("also", "10.0.0.2"))
        eventually(lambda: len(of(api)["inbound"]) == len(of(api)["outbound"]) == 2)
        api.put(PODS, pod(ip="192.168.0.9"))
        eventually(lambda: of(api)["inbound"][0]["interface"].startswith("192.168.0.9:"))
        api.put(PODS, pod(version="2"))
        eventually(lambda: of(api)["inbound"][0]["tags"]["version"] == "2")


def test_what_somebody_changes_or_deletes_comes_back(api: FakeApi) -> None:
    with leading(api):
        api.put(SERVICES, a_service("web", "10.0.0.1"))
        api.put(PODS, pod())
        eventually(lambda: of(api)["outbound"])
        good = of(api)
        changed = api.get(DATAPLANES, "example", "demo")
        assert changed
        labelled = {**changed["metadata"], "labels": {"mine": "yes"}}
        api.put(DATAPLANES, {**changed, "metadata": labelled, "mesh": "other", "spec": {"networking": {}}})
        eventually(lambda: of(api) == good)
        found = api.get(DATAPLANES, "example", "demo")
        assert found
        assert (found["mesh"], found["metadata"]["labels"]) == ("default", {"mine": "yes"})
        api.remove(DATAPLANES, "example", "demo")
        eventually(lambda: of(api) == good)


def test_a_dataplane_of_somebody_else_is_left_alone(api: FakeApi) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "7", "controller": True}
    meta = {"name": "example", "namespace": "demo", "ownerReferences": [owner]}
    api.put(DATAPLANES, {"metadata": meta, "mesh": "default", "spec": {}})
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    api.put(PODS, pod())
    with leading(api):
        eventually(lambda: api.asked("POST", "events"))
        assert api.asked("POST", "events")[0]["reason"] == "ForeignDataplane"
        found = api.get(DATAPLANES, "example", "demo")
        assert found
        assert found["spec"] == {}


def test_a_pod_without_a_service_is_told_why(api: FakeApi) -> None:
    with leading(api):
        api.put(PODS, pod())
        (event,) = eventually(lambda: api.asked("POST", "events"))
        assert (event["reason"], event["type"]) == ("NoService", "Warning")
        assert event["regarding"] == {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "demo",
            "name": "example",
            "uid": "uid-example",
        }
        assert 'no Service of the namespace "demo" selects the Pod' in event["note"]
        api.put(PODS, pod(more="labels"))
        api.put(SERVICES, a_service("web", "10.0.0.1"))
        eventually(lambda: of(api)["inbound"])
    assert len(api.asked("POST", "events")) == 1, "the same thing is told once"


def test_a_refusal_of_the_webhook_is_told(api: FakeApi) -> None:
    def refuse(method: str, path: str) -> None:
        if "dataplanes" in path and method == "POST":
            raise Refusal(422, "networking: no")

    api.refuse = refuse
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    api.put(PODS, pod())
    with leading(api):
        (event,) = eventually(lambda: api.asked("POST", "events"))
        assert (event["reason"], event["note"]) == ("DataplaneRefused", "networking: no (422)")


def test_what_fails_is_tried_again(api: FakeApi) -> None:
    failed = threading.Event()

    def refuse(method: str, path: str) -> None:
        if "dataplanes" in path and method == "POST" and not failed.is_set():
            failed.set()
            raise Refusal(500, "the webhook is not there yet")

    api.refuse = refuse
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    api.put(PODS, pod())
    with leading(api):
        eventually(lambda: of(api)["inbound"])
    assert failed.is_set()


def test_a_pod_that_ended_loses_its_dataplane(api: FakeApi) -> None:
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    with leading(api):
        api.put(PODS, pod())
        eventually(lambda: of(api)["inbound"])
        ended = pod()
        ended["status"]["phase"] = "Succeeded"
        api.put(PODS, ended)
        eventually(lambda: api.get(DATAPLANES, "example", "demo") is None)


def test_a_pod_that_loses_its_services_keeps_its_dataplane(api: FakeApi) -> None:
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    with leading(api):
        api.put(PODS, pod())
        eventually(lambda: of(api)["outbound"])
        api.remove(SERVICES, "web", "demo")
        eventually(lambda: api.asked("POST", "events"))
        assert of(api)["inbound"]


def test_meshes_see_their_own_services(api: FakeApi) -> None:
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    api.put(SERVICES, a_service("db", "10.0.0.2", "data"))
    other = pod("db-1", "data")
    with leading(api):
        api.put(PODS, pod())
        api.put(PODS, other)
        eventually(lambda: len(of(api)["outbound"]) == 2)
        other["metadata"]["annotations"]["kuma.io/mesh"] = "data"
        api.put(PODS, other)
        eventually(lambda: [item["service"] for item in of(api)["outbound"]] == ["web.demo.svc:80"])
        eventually(
            lambda: [item["service"] for item in of(api, "db-1", "data")["outbound"]] == ["db.data.svc:80"]
        )


def test_a_headless_service_costs_nobody_else_anything(api: FakeApi) -> None:
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    api.put(SERVICES, a_service("web-headless", "None"))
    with leading(api):
        api.put(PODS, pod())
        eventually(lambda: of(api)["outbound"])
        assert len(of(api)["inbound"]) == 2
        assert [item["service"] for item in of(api)["outbound"]] == ["web.demo.svc:80"]


def test_a_new_control_plane_writes_nothing_that_is_there(api: FakeApi) -> None:
    """Nor anything while the Dataplanes that there are are not known: outbounds would be missing."""
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    for number in range(20):
        api.put(PODS, pod(f"web-{number}", ip=f"192.168.0.{number + 1}"))
    with leading(api):
        eventually(lambda: all(of(api, f"web-{n}")["outbound"] for n in range(20)))
    wrote = len([1 for method, _, _ in api.requests if method != "GET"])
    with leading(api):
        api.put(PODS, pod("late", ip="192.168.1.1"))
        eventually(lambda: of(api, "late")["outbound"])
    assert len([1 for method, _, _ in api.requests if method != "GET"]) == wrote + 1


def test_one_more_dataplane_of_a_service_is_one_write(api: FakeApi) -> None:
    """N Dataplanes do not cost N times N."""
    api.put(SERVICES, a_service("web", "10.0.0.1"))
    with leading(api):
        for number in range(30):
            api.put(PODS, pod(f"web-{number}", ip=f"192.168.0.{number + 1}"))
        eventually(lambda: all(of(api, f"web-{n}")["outbound"] for n in range(30)))
        counted = len(api.requests)
        api.put(PODS, pod("one-more", ip="192.168.1.1"))
        eventually(lambda: of(api, "one-more")["outbound"])
        assert len(api.requests) == counted + 1


def test_a_service_that_changes_all_the_time_is_written_as_it_ends(api: FakeApi) -> None:
    with leading(api):
        api.put(SERVICES, a_service("web", "10.0.0.1"))
        api.put(PODS, pod())
        eventually(lambda: of(api)["outbound"])
        before = len(api.asked("PUT", "dataplanes"))
        for number in range(100):
            api.put(SERVICES, a_service("web", f"10.0.1.{number}"))
        eventually(lambda: of(api)["outbound"][0]["interface"] == "10.0.1.99:80")
        assert len(api.asked("PUT", "dataplanes")) - before < 50
