"""Tags as values, and what it means that a selector matches them."""

from __future__ import annotations

from collections.abc import Mapping

TagPairs = tuple[tuple[str, str], ...]
"""Tags or a selector, sorted by key: hashable."""

ANY = "*"


def sorted_tags(tags: Mapping[str, str]) -> TagPairs:
    """Tags as a hashable value."""
    return tuple(sorted(tags.items()))


def matches(selector: TagPairs, tags: TagPairs) -> bool:
    """Whether every tag of the selector is there with an equal value, or with any value for ``*``."""
    found = dict(tags)
    return all(key in found and value in (ANY, found[key]) for key, value in selector)
