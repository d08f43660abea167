"""Events on Pods: what ``kubectl describe pod`` shows of why there is no Dataplane, or no sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from kuma_core.sdk import StoreUnavailable
from kuma_runtime_k8s.contract import KubeApi
from kuma_runtime_k8s.controllers.annotations import metadata

_log = structlog.get_logger("kubernetes-controllers")

CONTROLLER = "kuma.io/control-plane"
MOST_TOLD = 10_000
"""Of how many Pods we remember what they were told."""
LONGEST_NOTE = 1024
"""What the API server takes."""


class PodEvents:
    """Tells each Pod once what is wrong with it, and again when that is something else."""

    def __init__(self, api: KubeApi, instance: str) -> None:
        self._api, self._instance = api, instance
        self._told: dict[str, tuple[str, str]] = {}

    def tell(self, pod: Mapping[str, Any], reason: str, message: str, action: str = "MakeDataplane") -> bool:
        """Note something that is wrong; whether it is noted. What cannot be is only in the log of who calls."""
        uid = str(metadata(pod).get("uid") or "")
        if self._told.get(uid) == (reason, message):
            return True
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[uid] = (reason, message)
        try:
            path = f"/apis/events.k8s.io/v1/namespaces/{metadata(pod)['namespace']}/events"
            self._api.ask("POST", path, body=event(pod, self._instance, reason, message, action))
        except StoreUnavailable as error:
            self._told.pop(uid, None)
            _log.info("an Event cannot be written", reason=reason, problem=str(error))
            return False
        return True

    def forget(self, pod: Mapping[str, Any]) -> None:
        """All is well with a Pod, or it is gone."""
        self._told.pop(str(metadata(pod).get("uid") or ""), None)


def event(pod: Mapping[str, Any], instance: str, reason: str, message: str, action: str) -> dict[str, Any]:
    """A warning about a Pod."""
    meta = metadata(pod)
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": meta["namespace"], "name": meta["name"]}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name'][:200]}-", "namespace": meta["namespace"]},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning",
        "reason": reason,
        "action": action,
        "note": message[:LONGEST_NOTE],
        "regarding": {**regarding, "uid": meta["uid"]},
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
    }
