"""The text of manifests, and the output format ``kubernetes`` of kumactl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kuma_core.sdk import KumaError
from kuma_core.sdk.kumactl import dump
from kuma_store_k8s.documents import manifest

MOST_TOLD = 20
"""How many documents with a mistake are named."""


def kubernetes(items: Sequence[Mapping[str, Any]]) -> str:
    """Documents of kumactl as manifests. Raises KumaError, which names every document that has none."""
    made, problems = [], []
    for item in items:
        try:
            made.append(manifest(item))
        except KumaError as error:
            problems.append(f'{item.get("type")} "{item.get("name")}": {error}')
    if problems:
        more = [f"and {len(problems) - MOST_TOLD} more"] if len(problems) > MOST_TOLD else []
        raise KumaError("\n* ".join(["no manifest can be made of these:", *problems[:MOST_TOLD], *more]))
    return text_of(made)


def text_of(objects: Iterable[Mapping[str, Any]]) -> str:
    """Objects as YAML documents that kubectl takes, without the last line end."""
    return "\n".join(f"---\n{dump(item, 'yaml')}" for item in objects)
