"""Pods without a sidecar in namespaces that ask for sidecars are told so, once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from kuma_core.testing.waiting import eventually
from kuma_runtime_k8s.controllers import missed
from kuma_runtime_k8s.controllers.annotations import may_have_sidecar
from kuma_runtime_k8s.controllers.missed import NAMESPACES, MissedPods
from kuma_runtime_k8s.pods import PATH as PODS
from kuma_runtime_k8s.pods import FollowedPods, Pods

from .fake_api import FakeApi
from .parts import running


def leading(api: FakeApi) -> AbstractContextManager[None]:
    pods = Pods()
    return running(FollowedPods(api, pods), MissedPods(api, pods, "cp-1"))


def pod(name: str, namespace: str = "demo", **annotations: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    meta["annotations"] = {f"kuma.io/{key}": value for key, value in annotations.items()}  # type: ignore[assignment]
    return {"metadata": meta, "spec": {"containers": []}, "status": {"phase": "Running"}}


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {f"kuma.io/{key}": value for key, value in labels.items()}}}


def told(api: FakeApi) -> list[str]:
    """Which Pods were told so, in order."""
    return [
        body["regarding"]["name"] for body in api.asked("POST", "events") if body["reason"] == "NoSidecar"
    ]


def test_who_has_none_is_told_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "GATHER", 0.01)
    api = FakeApi()
    asks = {"sidecar-injection": "enabled"}
    api.put(NAMESPACES, namespace("demo", **asks))
    api.put(NAMESPACES, namespace("other"))
    api.put(PODS, pod("bare"))
    api.put(PODS, pod("elsewhere", "other"))
    api.put(PODS, pod("injected", **{"sidecar-injected": "true"}))
    api.put(PODS, pod("unwilling", **{"sidecar-injection": "disabled"}))
    with leading(api):
        eventually(lambda: told(api) == ["bare"])
        (event,) = api.asked("POST", "events")
        assert "Delete it" in event["note"]
        assert len(event["note"]) < 1024
        api.put(PODS, {**pod("bare"), "status": {"phase": "Running", "podIP": "10.0.0.1"}})
        api.put(PODS, pod("later"))
        eventually(lambda: told(api) == ["bare", "later"])
        api.put(NAMESPACES, namespace("other", **asks))
        eventually(lambda: told(api) == ["bare", "later", "elsewhere"])


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"hostNetwork": True}},
        {"status": {"phase": "Succeeded"}},
        {"metadata": {"deletionTimestamp": "now"}},
        {"metadata": {"annotations": {"kuma.io/sidecar-injected": "true"}}},
        {"metadata": {"annotations": {"kuma.io/sidecar-injection": "disabled"}}},
    ],
)
def test_who_needs_none(change: dict[str, Any]) -> None:
    assert may_have_sidecar(pod("a"))
    assert not may_have_sidecar({**pod("a"), **change})


def test_what_could_not_be_told_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "GATHER", 0.01)
    monkeypatch.setattr(missed, "RETRY_SECONDS", 0.05)
    api = FakeApi()
    api.put(NAMESPACES, namespace("demo", **{"sidecar-injection": "enabled"}))
    api.put(PODS, pod("bare"))
    refused = api.refuse_posts()
    with leading(api):
        assert refused.wait(60)
        api.refuse = lambda method, path: None
        before = len(told(api))
        eventually(lambda: len(told(api)) > before)


def test_a_pod_that_stays_as_it_is_costs_nothing() -> None:
    """Every Pod of the cluster tells of its state, and most of them have no proxy."""
    pods, heard = Pods(), []
    pods.on_change(heard.append)
    pods.on_bare(lambda: heard.append(None))
    pods.put(pod("a"))
    assert heard == [None]
    pods.put({**pod("a"), "status": {"phase": "Pending"}})
    assert heard == [None]
    pods.deleted(pod("a"))
    assert pods.bare("demo") == []
    assert heard == [None]
