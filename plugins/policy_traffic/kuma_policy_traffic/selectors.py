"""Selectors: which proxies, by their tags, a policy speaks of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pydantic import Field

from kuma_core.sdk import Spec, Tags, Violation, odd_text

SERVICE = "service"
ANY = "*"
"""The value that stands for any; in selectors only."""
NO_TAGS: Mapping[str, str] = MappingProxyType({})


class Selector(Spec):
    """The tags that a proxy must have; the value ``*`` stands for any."""

    match: Tags = Field(default_factory=lambda: NO_TAGS)


Selectors = tuple[Selector, ...]


def connection_problems(
    sources: Sequence[Selector], destinations: Sequence[Selector], service_only_sources: bool = False
) -> Iterator[Violation]:
    """What is wrong with the two ends of a connection; a destination is always told by its service alone."""
    yield from list_problems("sources", sources)
    yield from selector_problems("sources", sources, service_only_sources)
    yield from list_problems("destinations", destinations)
    yield from selector_problems("destinations", destinations, service_only=True)


def list_problems(path: str, items: Sequence[object]) -> Iterator[Violation]:
    """A list that says what a policy is about may not be empty."""
    if not items:
        yield Violation(path, "must have at least one element")


def selector_problems(
    path: str, selectors: Sequence[Selector], service_only: bool = False
) -> Iterator[Violation]:
    """What is wrong with each selector of a list."""
    for index, selector in enumerate(selectors):
        yield from tag_problems(f"{path}[{index}].match", selector.match, service_only)


def tag_problems(path: str, tags: Mapping[str, str], service_only: bool = False) -> Iterator[Violation]:
    """What breaks a rule for tags, in the order of telling; ``service_only`` allows no tag but ``service``."""
    if service_only and list(tags) != [SERVICE]:
        yield Violation(path, f'must consist of exactly one tag "{SERVICE}"')
    elif not service_only and not tags:
        yield Violation(path, "must have at least one tag")
    for key in sorted(tags):
        yield from _tag_problems(path, key, tags[key], service_only)
    if SERVICE not in tags:
        yield Violation(path, f'mandatory tag "{SERVICE}" is missing')


def _tag_problems(path: str, key: str, value: str, service_only: bool) -> Iterator[Violation]:
    where = f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    if not key:
        yield Violation(path, "tag key must be non-empty")
    if service_only and key != SERVICE:
        yield Violation(where, f'tag "{key}" is not allowed')
    if not value:
        yield Violation(where, "tag value must be non-empty")
    yield from odd_text(where, value)
