"""A JSON Patch (RFC 6902) applied to a document, as far as ours need it; strict where the RFC is."""

from __future__ import annotations

import copy
from typing import Any


def applied(document: Any, operations: list[dict[str, Any]]) -> Any:
    """The document afterwards. Raises where the API server would refuse the patch."""
    found = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [_plain(part) for part in operation["path"].split("/")[1:]]
        place = found
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _change(place, last, operation)
    return found


def _plain(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _change(place: Any, last: str, operation: dict[str, Any]) -> None:
    match operation["op"], place:
        case "add", list():
            at = len(place) if last == "-" else int(last)
            assert at <= len(place)
            place.insert(at, operation["value"])
        case "add", dict():
            place[last] = operation["value"]
        case "remove", dict():
            del place[last]
        case found:
            raise AssertionError(f"nobody expects {found}")
