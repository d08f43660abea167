"""What is put into objects: contents that the API server keeps as they are, and annotations. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import InvalidResource, Violation
from kuma_store_k8s.client import Json

MARK = "leaderTerm"
"""The key in a document that has the term of the leader who wrote it; the kernel sets and reads it."""
LARGEST, SMALLEST = 2**63 - 1, -(2**63)


def content_and_term(document: str) -> tuple[Json, str]:
    """The content of a document, and the term of the leader that wrote it, if one did."""
    content = json.loads(document)
    if not isinstance(content, dict):
        raise InvalidResource([Violation("", "Kubernetes holds JSON objects alone")])
    problems = _unfit_numbers(content, "")
    if problems:
        raise InvalidResource(problems)
    return content, str(content.pop(MARK, ""))


def _unfit_numbers(value: Any, path: str) -> list[Violation]:
    """The API server has whole numbers of 64 bits, and would round any other one without a word."""
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return [Violation(path, "Kubernetes holds whole numbers from -2^63 to 2^63 - 1 alone")]
    if isinstance(value, dict):
        return [
            found
            for key, item in value.items()
            for found in _unfit_numbers(item, f"{path}.{key}".removeprefix("."))
        ]
    if isinstance(value, list):
        return [found for at, item in enumerate(value) for found in _unfit_numbers(item, f"{path}[{at}]")]
    return []


def annotated(item: Json, notes: Mapping[str, str]) -> Json:
    """An object with some annotations set; those that are empty are left out."""
    meta = item["metadata"]
    found = {key: value for key, value in (meta.get("annotations") or {}).items() if key not in notes}
    found |= {key: value for key, value in notes.items() if value}
    kept = {key: value for key, value in meta.items() if key not in ("annotations", "managedFields")}
    return {**item, "metadata": {**kept, "annotations": found} if found else kept}
