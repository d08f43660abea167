"""What a token allows beside a name: the services for which a proxy may speak, and the tags that it may have.

A proxy with such a token is what the token says in each of its inbounds, and as a gateway: one inbound of another
service would be an identity of another service.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kuma_core.builtin.tokens.contract import Binding
from kuma_core.errors import InvalidResource, Violation
from kuma_core.specs.tags import TagPairs

SERVICE = "service"
MOST_VALUES = 100
"""Services, tags, and values of one tag: a token is a header of every stream."""
MOST_CHARACTERS = 255
MOST_SHOWN = 5

_EMPTY: Mapping[str, tuple[str, ...]] = {}


def claims_of(binding: Binding) -> dict[str, Any]:
    """What a token says of it."""
    said: dict[str, Any] = {"Services": list(binding.services)} if binding.services else {}
    return said | ({"Tags": {key: list(values) for key, values in binding.tags}} if binding.tags else {})


def misfit(binding: Binding, found: Sequence[Mapping[str, str]]) -> str:
    """What speaks against a Dataplane with these tags of its inbounds and its gateway; empty: nothing."""
    if not found:
        return "it has no inbound and no gateway, and the token is for those that have"
    allowed = (((SERVICE, binding.services),) if binding.services else ()) + binding.tags
    return next((text for tags in found for text in _broken_by(tags, allowed)), "")


def _broken_by(tags: Mapping[str, str], allowed: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    for key, values in allowed:
        value = tags.get(key)
        if value not in values:
            has = f'has no tag "{key:.100}"' if value is None else f'has {key}="{value:.100}"'
            yield f"an inbound or the gateway {has}, and the token allows {key}={_listed(values)}"


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - MOST_SHOWN} others" if len(values) > MOST_SHOWN else ""
    return ", ".join(f'"{value:.100}"' for value in values[:MOST_SHOWN]) + more


def read_binding(services: Any, tags: Any) -> Binding:
    """From ``["web", …]`` and ``{"team": ["a", …]}``; ``None`` is nothing. For what ``problems_of`` finds nothing in.

    Raises ``ValueError`` for anything else.
    """
    if next(problems_of(services, tags), None) is not None:
        raise ValueError("no binding")
    sets = {key: _unique(values) for key, values in (tags or _EMPTY).items()}
    return Binding(_unique(services or ()), tuple(sorted(sets.items())))


def problems_of(services: Any, tags: Any) -> Iterator[Violation]:
    """What is wrong with what somebody asks for."""
    if services is not None:
        yield from _values_problems("services", services)
    if tags is None:
        return
    if not isinstance(tags, dict) or not tags:
        yield Violation("tags", 'expected lists of values by their tags, as in {"team": ["a"]}')
        return
    if len(tags) > MOST_VALUES:
        yield Violation("tags", f"has {len(tags)} tags; a token may have {MOST_VALUES} at most")
        return
    for key, values in tags.items():
        if problem := _text_problem(key):
            yield Violation("tags", f"a tag {problem}")
        else:
            yield from _values_problems(f'tags["{key}"]', values)


def _values_problems(field: str, values: Any) -> Iterator[Violation]:
    if not isinstance(values, list):
        yield Violation(field, "expected a list of texts")
    elif not 1 <= len(values) <= MOST_VALUES:
        yield Violation(field, f"has {len(values)} values; expected from 1 to {MOST_VALUES}")
    else:
        for index, value in enumerate(values):
            if problem := _text_problem(value):
                yield Violation(f"{field}[{index}]", problem)


def _text_problem(value: Any) -> str:
    if not isinstance(value, str):
        return "expected text"
    if not value:
        return "cannot be empty"
    return f"has more than {MOST_CHARACTERS} characters" if len(value) > MOST_CHARACTERS else ""


def _unique(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


MOST_SETS = 1000
"""So many sets of tags are looked at for a user who has no right to all of them."""
TOO_MANY = (
    f"allows more than {MOST_SETS} combinations of tags; generate several tokens with fewer values each"
)


def tag_sets_of(binding: Binding) -> tuple[TagPairs, ...]:
    """All that an inbound may be by it: one set for each combination of values, without the tags that may be anything.

    None if all may be anything. Raises ``InvalidResource`` for too many.
    """
    values: dict[str, Sequence[str]] = dict(binding.tags)
    if binding.services:
        wanted = values.get(SERVICE, binding.services)
        values[SERVICE] = [service for service in binding.services if service in wanted]
    if not values:
        return ()
    if math.prod(map(len, values.values())) > MOST_SETS:
        raise InvalidResource([Violation("tags", TOO_MANY)])
    pairs = [[(key, value) for value in given] for key, given in sorted(values.items())]
    return tuple(itertools.product(*pairs))
