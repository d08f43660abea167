"""Containers that are to end wait until others call their Pod no more, so that an application may end at once.

A Pod is called once it is ready, for which its sidecar has to listen: until then a probe of its start fails.

Of a Pod that is deleted the kubelet ends all containers. Each has a hook that asks the sidecar, which answers when the
control plane has taken the Pod out of everybody's endpoints, or after 10 seconds. The hook waits and causes nothing;
its path has a word that nobody can guess, so that nobody but the kubelet makes the sidecar ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kuma_injector_k8s.injection.pods import Object, is_gateway, member, members
from kuma_injector_k8s.injection.probes import Operation, Rewritten, free_port

PREFIX = "/kuma/leaving/"
READY = "/kuma/ready"
"""Where the sidecar says whether Envoy listens for all that its control plane asked of it. Envoy's admin API, which its
other probes ask, answers before."""
STARTED = {"timeoutSeconds": 3, "periodSeconds": 1, "failureThreshold": 120}
"""As long as the other probes give a sidecar that waits for its control plane."""


def hooked(pod: Object, probes: Rewritten, wanted_port: int, word: str) -> Rewritten:
    """The same, with hooks for the regular containers that have no ``preStop`` of their own.

    Init containers with ``restartPolicy: Always`` end after those. Nobody calls a gateway through its sidecar.
    """
    if is_gateway(pod):
        return probes
    spec = member(pod, "spec")
    port, path = probes.port or free_port(spec, wanted_port), f"{PREFIX}{word}"
    operations = (*probes.operations, *_hooks(spec, hook(port, path)))
    return replace(probes, port=port, leaving=path, operations=operations)


def hook(port: int, path: str) -> dict[str, object]:
    """The handler of a hook."""
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def of_sidecar(port: int, path: str) -> dict[str, object]:
    """What the container of the sidecar gets: it waits, too, and is not ready before Envoy is."""
    started = {"httpGet": {"path": READY, "port": port, "scheme": "HTTP"}, **STARTED}
    return {"lifecycle": {"preStop": hook(port, path)}, "startupProbe": started}


def _hooks(spec: Object, handler: Object) -> Iterator[Operation]:
    for index, container in enumerate(members(spec, "containers")):
        there, place = member(container, "lifecycle"), f"/spec/containers/{index}/lifecycle"
        if not there:
            yield {"op": "add", "path": place, "value": {"preStop": handler}}
        elif there.get("preStop") is None:
            yield {"op": "add", "path": f"{place}/preStop", "value": handler}
