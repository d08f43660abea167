"""Tags as values, what it means that a selector matches them, and what is odd about a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

from kuma_core.documents import shown
from kuma_core.errors import Severity, Violation

TagPairs = tuple[tuple[str, str], ...]
"""Tags or a selector, sorted by key: hashable."""

ANY = "*"

UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Zs")
"""The categories of Unicode whose characters leave no mark, the plain space among them."""


def sorted_tags(tags: Mapping[str, str]) -> TagPairs:
    """Tags as a hashable value."""
    return tuple(sorted(tags.items()))


def matches(selector: TagPairs, tags: TagPairs) -> bool:
    """Whether every tag of the selector is there with an equal value, or with any value for ``*``."""
    found = dict(tags)
    return all(key in found and value in (ANY, found[key]) for key, value in selector)


def odd_text(path: str, text: str) -> Iterator[Violation]:
    """A warning for a text that looks like another one, which proxies tell apart from it."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return
    unseen = next((c for c in text if c != " " and unicodedata.category(c) in UNSEEN), "")
    if unseen:
        name = unicodedata.name(unseen, "a control character")
        said = f"holds U+{ord(unseen):04X} ({name}), which nobody sees"
    elif text != text.strip():
        said = "begins or ends with a space"
    else:
        return
    yield Violation(path, f"{shown(text)} {said}; is that meant?", Severity.WARNING)
