"""Lists that are searched and sorted where they lie: ``q`` and ``sort``.

``q`` has words with a space in between, and keeps what fits all of them: ``name:web service:orders tag:zone=east``. A
word without a colon is part of the name. ``sort`` is a field, or up to three; one behind a minus comes the other way
round. What a list knows beside the name is its ``Searchable``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import falcon

from kuma_core.errors import InvalidResource, Violation
from kuma_core.model import Resource
from kuma_core.resources.contract import Listed

MOST_CHARACTERS, MOST_WORDS, MOST_FIELDS = 1000, 20, 3
NAME = "name"

Matches = Callable[[Resource], bool]
Order = Callable[[Resource], Any]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of ``q`` that are looked at together.

    ``matcher`` gets what was asked of them, as word and value, and raises ``ValueError`` with the reason for a value
    that can not be.
    """

    names: tuple[str, ...]
    matcher: Callable[[Sequence[tuple[str, str]]], Matches]


@dataclass(frozen=True, slots=True)
class Searchable:
    """What a list can be searched and sorted by, beside the name. Values to sort by are of one type, such as text."""

    words: tuple[Words, ...] = ()
    orders: Mapping[str, Order] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Search:
    """What a request asks of a list; ``orders`` with whether they go backwards, the first one counts most."""

    names: tuple[str, ...]
    matchers: tuple[Matches, ...]
    orders: tuple[tuple[Order, bool], ...]

    def of(self, found: Listed) -> Listed:
        """Those that fit, in the order that is asked for; equal ones stay in the order of their names."""
        if self.names:
            found = found.only_named(lambda name: all(part in name.lower() for part in self.names))
        if self.matchers:
            found = found.only(lambda item: all(matches(item) for matches in self.matchers))
        return found.ordered(self.orders) if self.orders else found


def read_search(req: falcon.Request, searchable: Searchable) -> Search | None:
    """What a request asks for with ``q`` and ``sort``, ``None`` if it has neither.

    Raises ``InvalidResource`` with violations on ``q`` and ``sort``.
    """
    query, sort = req.get_param("q"), req.get_param("sort")
    if query is None and sort is None:
        return None
    problems: list[Violation] = []
    names, matchers = _asked(query or "", searchable, problems)
    orders = [] if sort is None else _orders(sort, searchable, problems)
    if problems:
        raise InvalidResource(problems, details="The search is not valid")
    return Search(tuple(names), tuple(matchers), tuple(orders))


def _asked(query: str, searchable: Searchable, problems: list[Violation]) -> tuple[list[str], list[Matches]]:
    words = query.split()[: MOST_WORDS + 1]
    if len(query) > MOST_CHARACTERS or len(words) > MOST_WORDS:
        text = f"expected at most {MOST_CHARACTERS} characters and {MOST_WORDS} words"
        problems.append(Violation("q", text))
        return [], []
    asked: dict[Words | None, list[tuple[str, str]]] = defaultdict(list)
    known = {name: item for item in searchable.words for name in item.names}
    for word, value in map(_split, words):
        if word != NAME and word not in known:
            listed = ", ".join(f"{name}:" for name in sorted((NAME, *known)))
            problems.append(Violation("q", f'this list does not know "{word:.40}:"; it knows {listed}'))
        elif not value:
            problems.append(Violation("q", f'expected a value behind "{word}:"'))
        else:
            asked[known.get(word)].append((word, value))
    names = [value.lower() for _, value in asked.pop(None, ())]
    return names, list(_matchers(asked, problems))


def _matchers(
    asked: Mapping[Words | None, list[tuple[str, str]]], problems: list[Violation]
) -> Iterator[Matches]:
    for words, given in asked.items():
        try:
            if words:
                yield words.matcher(given)
        except ValueError as error:
            problems.append(Violation("q", str(error)))


def _split(word: str) -> tuple[str, str]:
    before, colon, behind = word.partition(":")
    return (before, behind) if colon else (NAME, word)


def _orders(sort: str, searchable: Searchable, problems: list[Violation]) -> list[tuple[Order, bool]]:
    known: dict[str, Order] = {NAME: lambda item: item.name, **searchable.orders}
    fields = sort.split(",", MOST_FIELDS)
    if len(fields) > MOST_FIELDS or not all(name.removeprefix("-") in known for name in fields):
        listed = ", ".join(sorted(known))
        text = f"expected up to {MOST_FIELDS} of {listed}, with a comma in between; -{NAME} for the other way round"
        problems.append(Violation("sort", text))
        return []
    return [(known[name.removeprefix("-")], name.startswith("-")) for name in fields]
