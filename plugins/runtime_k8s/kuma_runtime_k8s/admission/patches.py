"""The JSON Patch (RFC 6902) that brings defaults into an object as somebody wrote it. Pure functions.

It touches what has a default alone: keys that nobody knows, and how a field is spelt, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Operation = dict[str, Any]


def patch(
    item: Mapping[str, Any], part: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Operation]:
    """What to do to an object whose member ``part`` was read as ``before`` and is to be as ``after``.

    Only what ``after`` adds or changes counts; a default takes nothing away.
    """
    return list(_differences(item, part, before, after, ""))


def _differences(
    written: Mapping[str, Any], key: str, before: Any, after: Any, path: str
) -> Iterator[Operation]:
    """The operations for one member of an object of the document, which is at ``path``."""
    name = _spelling(written, key)
    here = f"{path}/{_escaped(name)}"
    there = written.get(name)
    if isinstance(after, Mapping) and isinstance(there, Mapping):
        known = before if isinstance(before, Mapping) else {}
        for member, value in after.items():
            if member not in known or known[member] != value:
                yield from _differences(there, member, known.get(member), value, here)
    elif name in written:
        yield {"op": "replace", "path": here, "value": after}
    else:
        yield {"op": "add", "path": here, "value": after}


def _spelling(written: Mapping[str, Any], key: str) -> str:
    """How the document spells a field: ``redirectPort`` may stand there as ``redirect_port``."""
    snake = re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found[1].lower(), key)
    return snake if key not in written and snake in written else key


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
