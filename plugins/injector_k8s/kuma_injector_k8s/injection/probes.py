"""Probes of the kubelet in an encrypted mesh: they go to the sidecar, which asks the application inside of the Pod.

The kubelet has no certificate of the mesh, so that a port of the application, once it takes nothing but mTLS, would
fail every probe. To let plaintext in for the kubelet would let in whoever reaches the port from its node. So each HTTP
and TCP probe is pointed at a port of kuma-dp that is not redirected; kuma-dp asks what is listed for it, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kuma_injector_k8s.injection.pods import Object, is_gateway, member, members

KINDS = ("livenessProbe", "readinessProbe", "startupProbe")

Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What the kubelet asks of a sidecar: its port, what it is to ask in turn for each path of a probe, the path of the
    hook of containers that are to end, and how the Pod changes. Without a port it asks nothing."""

    port: int = 0
    targets: Mapping[str, Object] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    leaving: str = ""


def rewritten(pod: Object, wanted_port: int, native: bool) -> Rewritten:
    """The HTTP and TCP probes of a Pod. What is probed elsewhere, or by gRPC or a command, stays as it is.

    Init containers run before the redirection, unless the sidecar is a native one. What comes to a gateway is
    not redirected.
    """
    if is_gateway(pod):
        return Rewritten()
    spec = member(pod, "spec")
    lists = ("containers", "initContainers") if native else ("containers",)
    port = free_port(spec, wanted_port)
    targets: dict[str, Object] = {}
    operations: list[Operation] = []
    for place, container, kind in _probes(spec, lists):
        probe = member(container, kind)
        if target := _target(container, probe):
            path = f"/{container.get('name')}/{kind}"
            targets[path] = target
            operations += _pointed(probe, place, path, port)
    return Rewritten(port, targets, tuple(operations)) if targets else Rewritten()


def _probes(spec: Object, lists: tuple[str, ...]) -> Iterator[tuple[str, Object, str]]:
    for name in lists:
        for index, container in enumerate(members(spec, name)):
            for kind in KINDS:
                if container.get(kind) is not None:
                    yield f"/spec/{name}/{index}/{kind}", container, kind


def free_port(spec: Object, wanted: int) -> int:
    """The first port from the wanted one on that no container declares."""
    taken = {
        str(port.get("containerPort"))
        for name in ("containers", "initContainers")
        for container in members(spec, name)
        for port in members(container, "ports")
    }
    return next((port for port in range(wanted, 65536) if str(port) not in taken), wanted)


def _target(container: Object, probe: Object) -> dict[str, Any] | None:
    """What the sidecar is to ask; ``None`` for a probe that stays as it is."""
    is_tcp = probe.get("tcpSocket") is not None
    handler = member(probe, "tcpSocket" if is_tcp else "httpGet")
    port = _number(container, handler.get("port"))
    if not port or handler.get("host"):
        return None
    made: dict[str, Any] = {"port": port, "timeout": probe.get("timeoutSeconds") or 1}
    if is_tcp:
        return made
    made |= {"path": handler.get("path") or "/", "scheme": handler.get("scheme") or "HTTP"}
    headers = [[str(one.get("name")), str(one.get("value", ""))] for one in members(handler, "httpHeaders")]
    return {**made, "headers": headers} if headers else made


def _number(container: Object, port: Any) -> int:
    """The number of a port that may be a name; 0 for a name that the container does not declare."""
    if isinstance(port, int):
        return port
    declared = (one for one in members(container, "ports") if one.get("name") == port)
    found = next(declared, {}).get("containerPort")
    return found if isinstance(found, int) else 0


def _pointed(probe: Object, place: str, path: str, port: int) -> Iterator[Operation]:
    for name in ("tcpSocket", "httpGet"):
        if probe.get(name) is not None:
            yield {"op": "remove", "path": f"{place}/{name}"}
    yield {"op": "add", "path": f"{place}/httpGet", "value": {"path": path, "port": port, "scheme": "HTTP"}}
