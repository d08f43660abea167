"""Patterns of names: text in which ``*`` stands for any characters, or none. A match takes a few searches at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kuma_core.sdk import Violation, odd_text, shown

ANY = "*"
MOST_CHARACTERS = 253
MOST_STARS = 8
"""In one pattern: what a decision costs has a bound."""


class Patterns:
    """Some patterns, of which one has to match. Frozen, and safe for use from several threads."""

    __slots__ = ("_exact", "_globs", "any")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        self.any = ANY in patterns
        self._exact = frozenset(pattern for pattern in patterns if ANY not in pattern)
        self._globs = tuple(tuple(pattern.split(ANY)) for pattern in patterns if ANY in pattern)

    def match(self, text: str) -> bool:
        """Whether one of the patterns stands for the whole text; letters differ by their case."""
        return self.any or text in self._exact or any(_match(parts, text) for parts in self._globs)


def _match(parts: tuple[str, ...], text: str) -> bool:
    """Whether the parts, which are what stands between stars, come in the text one after the other, and at its ends."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:  # the first place for each leaves most room to the rest
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def pattern_problems(path: str, pattern: str) -> Iterator[Violation]:
    """What is wrong with one pattern; ``path`` is where it stands."""
    if not pattern:
        yield Violation(path, f'cannot be empty; "{ANY}" stands for any')
    if len(pattern) > MOST_CHARACTERS:
        yield Violation(path, f"has more than {MOST_CHARACTERS} characters")
    elif pattern.count(ANY) > MOST_STARS:
        yield Violation(path, f'{shown(pattern)} has more than {MOST_STARS} times "{ANY}"')
    else:
        yield from odd_text(path, pattern)
