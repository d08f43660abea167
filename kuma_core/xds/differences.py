"""Envoy resources as text, and what differs between two of them.

To write one as text takes ten milliseconds; what many proxies share, and what is asked for again, is written once.
"""

from __future__ import annotations

import difflib
import json
import threading
from collections import OrderedDict
from typing import Any

from envoy_data_plane.message_pool import default_message_pool

from kuma_core.xds.fields import Fields
from kuma_core.xds.seal import Sealed

MOST_CHARACTERS = 16 * 2**20
"""How much text is remembered."""

_Key = tuple[str, str, str, str]


class Differences:
    """Compares resources, and remembers what it found. Safe to use from any thread."""

    def __init__(self, most_characters: int = MOST_CHARACTERS) -> None:
        self._most = most_characters
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, str] = OrderedDict()
        self._characters = 0

    def between(self, before: Sealed | None, after: Sealed | None) -> str:
        """The unified difference of two resources of one type and name, as JSON; ``None`` is one that is not there."""
        key = _key(before, after)
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        text = _diff(_text(before), _text(after))
        self._remember(key, text)
        return text

    def _remember(self, key: _Key, text: str) -> None:
        with self._lock:
            if key not in self._known:
                self._known[key] = text
                self._characters += len(text)
            while self._characters > self._most:
                self._characters -= len(self._known.popitem(last=False)[1])


def _key(before: Sealed | None, after: Sealed | None) -> _Key:
    one = before or after
    assert one is not None
    return one.type_url, one.name, before.version if before else "", after.version if after else ""


def _text(sealed: Sealed | None) -> list[str]:
    if sealed is None:
        return []
    return json.dumps(readable(sealed), indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def _diff(before: list[str], after: list[str]) -> str:
    return "\n".join(difflib.unified_diff(before, after, "before", "after", lineterm="", n=2))


def readable(sealed: Sealed) -> dict[str, Any]:
    """A sealed resource as JSON data; a part stays bytes whose type nobody loaded."""
    body = Fields(sealed.packed).last(2) or b""
    message = default_message_pool.url_to_type[sealed.type_url].parse(body)
    try:
        found: dict[str, Any] = message.to_dict()
    except TypeError as error:
        return {"name": sealed.name, "unreadable": str(error)}
    return found
