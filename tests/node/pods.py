"""What tests ask of Pods, and do to them."""

from __future__ import annotations

import subprocess
from typing import Any

from .node import Node

Object = dict[str, Any]
SYSTEM = "kuma-system"


def pods(node: Node, namespace: str, app: str) -> list[Object]:
    """The Pods of an application that are not going."""
    listed = node.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}")["items"]
    return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]


def name_of(item: Object) -> str:
    """The name of an object."""
    return str(item["metadata"]["name"])


def statuses(pod: Object) -> dict[str, Object]:
    """The statuses of a Pod's containers, native sidecars too, by name."""
    status = pod.get("status", {})
    listed = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    return {item["name"]: item for item in listed}


def is_ready(pod: Object) -> bool:
    """Whether a Pod is ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any((item["type"], item["status"]) == ("Ready", "True") for item in conditions)


def said(node: Node, *words: str) -> str:
    """What a command in a container prints, given as kubectl takes it. Raises ``LookupError`` if there is no answer."""
    try:
        return node.kubectl("exec", *words)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise LookupError(f"{error}: {error.stderr}") from None


def kill(node: Node, pod: Object, container: str) -> None:
    """End a container as a crash does; the kubelet starts it again."""
    identity = statuses(pod)[container]["containerID"].removeprefix("containerd://")
    node.ctr("tasks", "kill", "--signal=SIGKILL", identity)


def crash(node: Node, pod: Object) -> None:
    """End all containers of a Pod."""
    for container in pod["spec"]["containers"]:
        kill(node, pod, container["name"])


def restarts(pod: Object) -> int:
    """How often containers of a Pod were started again."""
    return sum(item["restartCount"] for item in statuses(pod).values())
