"""How dataplanes are searched and sorted: by the tags of their inbounds, or of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kuma_core.api.searching import Matches, Searchable, Words
from kuma_core.model import Resource
from kuma_core.policy.matching import SERVICE

VERSION, TAG = "version", "tag"
REST = "*"
"""At the end of a value: anything may follow."""


def _matcher(asked: Sequence[tuple[str, str]]) -> Matches:
    """One inbound, or the gateway, has all that is asked for. In plain loops, as it looks at thousands."""
    wanted = [_tag(word, value) for word, value in asked]

    def matches(resource: Resource) -> bool:
        for tags in resource.spec.tag_sets():
            for key, pattern in wanted:
                value = tags.get(key)
                if value != pattern and (value is None or not _begins(pattern, value)):
                    break
            else:
                return True
        return False

    return matches


def _tag(word: str, value: str) -> tuple[str, str]:
    if word != TAG:
        return word, value
    key, equals, pattern = value.partition("=")
    if not (key and equals and pattern):
        raise ValueError(f'expected "tag:key=value", got "tag:{value:.40}"')
    return key, pattern


def _begins(pattern: str, value: str) -> bool:
    return pattern.endswith(REST) and value.startswith(pattern[:-1])


def _first(key: str) -> Callable[[Resource], str]:
    def value(resource: Resource) -> str:
        return min((tags[key] for tags in resource.spec.tag_sets() if key in tags), default="")

    return value


_ORDERS: Mapping[str, Callable[[Resource], str]] = {key: _first(key) for key in (SERVICE, VERSION)}

DATAPLANES = Searchable((Words((TAG, SERVICE, VERSION), _matcher),), _ORDERS)
