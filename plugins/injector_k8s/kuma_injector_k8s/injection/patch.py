"""The JSON Patch (RFC 6902) that injects a sidecar: as small as it can be. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kuma_core.sdk import Config
from kuma_injector_k8s import settings
from kuma_injector_k8s.injection import containers
from kuma_injector_k8s.injection.annotations import wanted
from kuma_injector_k8s.injection.leaving import hooked
from kuma_injector_k8s.injection.pods import INIT, Object, member, members, names
from kuma_injector_k8s.injection.probes import Operation, Rewritten, rewritten
from kuma_injector_k8s.injection.token import token_of


def patch(
    pod: Object, mesh: str, spec: Object, config: Config, native: bool = False, word: str = ""
) -> list[Operation]:
    """What is to be done to a Pod that gets a sidecar, for a mesh of this name and content.

    ``native`` puts the sidecar among the init containers, and both in front of those of the Pod. ``word`` is for the
    path of its hooks: one that nobody can guess. Raises Undecodable.
    """
    port = config.number(settings.PROBES_PORT)
    probes = rewritten(pod, port, native) if config.flag(settings.PROBES) else Rewritten()
    if config.flag(settings.HOOKS):
        probes = hooked(pod, probes, port, word)
    token = token_of(pod, config.text(settings.AUDIENCE))
    proxy = containers.sidecar(mesh, config, token, probes, native)
    redirection = containers.init(pod, config, probes)
    return [
        *_annotated(pod, wanted(pod, mesh, spec, config)),
        *probes.operations,  # first, while the places of containers are those of the Pod
        *token.operations,
        *_contained(pod, proxy, redirection, native),
    ]


def _annotated(pod: Object, values: Mapping[str, str]) -> Iterator[Operation]:
    there = member(member(pod, "metadata"), "annotations")
    if not there:
        yield {"op": "add", "path": "/metadata/annotations", "value": dict(values)}
        return
    for name, value in values.items():
        if there.get(name) != value:
            yield {"op": "add", "path": f"/metadata/annotations/{_escaped(name)}", "value": value}


def _contained(pod: Object, proxy: Object, redirection: Object, native: bool) -> Iterator[Operation]:
    spec = member(pod, "spec")
    there = members(spec, "initContainers")
    early: list[Any] = [] if INIT in names(there) else [redirection]
    early += [proxy] if native else []
    if early and not there:
        yield {"op": "add", "path": "/spec/initContainers", "value": early}
    elif native:
        for place, container in enumerate(early):
            yield {"op": "add", "path": f"/spec/initContainers/{place}", "value": container}
    else:
        for container in early:
            yield {"op": "add", "path": "/spec/initContainers/-", "value": container}
    if not native:
        yield {"op": "add", "path": "/spec/containers/-", "value": proxy}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
