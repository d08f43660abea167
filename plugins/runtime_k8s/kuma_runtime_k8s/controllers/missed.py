"""Pods that have no sidecar although their namespace asks for one, and who is told so: the Pods, by Events.

The injector is asked when a Pod is created and never afterwards. Whoever came before the label, or while it could not
be asked (``failurePolicy: Ignore``), runs without, outside of the mesh, and nobody would notice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from kuma_core.sdk import Stop
from kuma_runtime_k8s.contract import KubeApi
from kuma_runtime_k8s.controllers.annotations import INJECTION, metadata
from kuma_runtime_k8s.controllers.events import PodEvents
from kuma_runtime_k8s.controllers.known import Known
from kuma_runtime_k8s.controllers.work import ended
from kuma_runtime_k8s.pods import Pods

NAMESPACES = "/api/v1/namespaces"
REASON, ACTION = "NoSidecar", "InjectSidecar"
RETRY_SECONDS = 60.0
"""After an Event that could not be written."""
GATHER = 1.0
"""Seconds in which Pods that come are looked at together."""

TEXT = (
    f"the namespace asks for sidecars ({INJECTION}: enabled), and this Pod has none: it was created before the "
    "namespace asked, or while the injector did not answer. It is outside of the mesh. Delete it, and its controller "
    f"creates one with a sidecar; a Pod that is to have none gets the annotation {INJECTION}: disabled"
)


def asks(namespace: Mapping[str, Any]) -> bool:
    """Whether Pods of a namespace are to have sidecars."""
    return bool((metadata(namespace).get("labels") or {}).get(INJECTION) == "enabled")


class MissedPods:
    """The component of the leader that tells such Pods."""

    name = "kubernetes-missed-pods"
    leader_only = True

    def __init__(self, api: KubeApi, pods: Pods, instance: str) -> None:
        self._api, self._pods, self._instance = api, pods, instance

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        bell, inner = threading.Event(), Stop()
        namespaces: Known[bool] = Known(asks, lambda *_: bell.set())
        selection = {"labelSelector": f"{INJECTION}=enabled"}
        thread = threading.Thread(
            target=self._api.follow, args=(NAMESPACES, selection, namespaces, inner), daemon=True
        )
        thread.start()
        end = self._pods.on_bare(bell.set)
        events = PodEvents(self._api, self._instance)
        try:
            with stop.calling(bell.set):
                is_noted = True
                while not stop.is_set():
                    bell.wait(None if is_noted else RETRY_SECONDS)
                    bell.clear()
                    if not stop.wait(GATHER):
                        is_noted = self._tell(namespaces, events, stop)
        finally:
            end()
            inner.set()
            ended([thread])

    def _tell(self, namespaces: Known[bool], events: PodEvents, stop: Stop) -> bool:
        """Whether every Pod that is to be told is told."""
        noted = [events.tell(pod, REASON, TEXT, ACTION) for pod in self._missed(namespaces, stop)]
        return all(noted)

    def _missed(self, namespaces: Known[bool], stop: Stop) -> Iterator[Mapping[str, Any]]:
        for (_, name), is_meant in namespaces.items():
            for pod in self._pods.bare(name) if is_meant else ():
                if stop.is_set():
                    return
                yield pod
