"""The token by which a sidecar proves whose it is: the ServiceAccount's, or one that is good for Kuma alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from kuma_injector_k8s.injection.pods import Object, member, members, names
from kuma_injector_k8s.injection.probes import Operation

TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where every Pod finds its ServiceAccount's token, unless it wants none."""
OWN = "/var/run/secrets/kuma.io/token"
"""Where a sidecar finds one that is meant for an audience."""
VOLUME = "kuma-token"
SECONDS = 3600
"""How long such a token is good; the kubelet makes the next one when a fifth of that is left."""


@dataclass(frozen=True)
class Token:
    """The file of the token, the mount that brings it, if any, and what has to be done to the Pod for that."""

    path: str
    mount: Mapping[str, Any] | None
    operations: tuple[Operation, ...] = ()


def token_of(pod: Object, audience: str) -> Token:
    """The token of a Pod's sidecar. One for an audience is there whether or not the Pod wants one of its own."""
    if not audience:
        return Token(f"{TOKENS}/token", _copied_mount(pod))
    volumes = members(member(pod, "spec"), "volumes")
    name = next(name for name in _candidates() if name not in names(volumes))
    source = {"serviceAccountToken": {"audience": audience, "expirationSeconds": SECONDS, "path": "token"}}
    volume = {"name": name, "projected": {"sources": [source]}}
    operation: Operation = (
        {"op": "add", "path": "/spec/volumes/-", "value": volume}
        if volumes
        else {"op": "add", "path": "/spec/volumes", "value": [volume]}
    )
    return Token(f"{OWN}/token", {"name": name, "mountPath": OWN, "readOnly": True}, (operation,))


def _candidates() -> Iterator[str]:
    """Names for the volume: a Pod may have one of the first already."""
    yield VOLUME
    yield from (f"{VOLUME}-{number}" for number in count(2))


def _copied_mount(pod: Object) -> Mapping[str, Any] | None:
    """A copy of the mount of the token in the first container that has one."""
    for container in members(member(pod, "spec"), "containers"):
        for mount in members(container, "volumeMounts"):
            if mount.get("mountPath") == TOKENS:
                return dict(mount)
    return None
