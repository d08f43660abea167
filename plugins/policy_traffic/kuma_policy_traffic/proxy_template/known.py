"""Raw resources by way of the memory: read, checked and encoded if nobody did so before."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk.envoy import encoded
from kuma_policy_traffic.proxy_template.convert import NativeResource, read_resource
from kuma_policy_traffic.proxy_template.memory import MEMORY, Known


def known_resource(text: str) -> Known:
    """What a text stands for; raises ``ValueError`` with the reason why it can not."""
    known = MEMORY.find(text) or _read(text)
    if known.problem:
        raise ValueError(known.problem)
    return known


def _read(text: str) -> Known:
    try:
        return remember(text, read_resource(text))
    except ValueError as error:
        known = Known(problem=str(error))
        MEMORY.keep(text, known)
        return known


def remember(text: str, found: NativeResource) -> Known:
    """Remember what a text was read as."""
    try:
        body = encoded(found.name, found.message)
    except ValueError:  # stored by an earlier version, which took it
        body = None
    known = Known(found.type_url, found.name, body, met=found.met)
    MEMORY.keep(text, known)
    return known


def read_all(texts: Iterable[str]) -> None:
    """Fill the memory; a text that cannot be read costs the others nothing."""
    for text in texts:
        if MEMORY.find(text) is None:
            _read(text)
