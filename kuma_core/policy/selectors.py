"""How specific a selector is."""

from __future__ import annotations

from dataclasses import dataclass

from kuma_core.specs.tags import ANY, TagPairs, matches


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """Compared by the number of tags first, then by how many of them name a value."""

    total: int = 0
    exact: int = 0

    def __add__(self, other: Rank) -> Rank:
        return Rank(self.total + other.total, self.exact + other.exact)


def rank(selector: TagPairs) -> Rank:
    """The rank of a selector."""
    return Rank(len(selector), sum(1 for _, value in selector if value != ANY))


def best_rank(selectors: tuple[TagPairs, ...], tag_sets: tuple[TagPairs, ...]) -> Rank | None:
    """The highest rank of the selectors that match one of the tag sets; ``None`` if none does.

    All tags of a selector must be in one and the same set: the tags of two inbounds never add up to a match.
    """
    ranks = [rank(selector) for selector in selectors if any(matches(selector, tags) for tags in tag_sets)]
    return max(ranks, default=None)
