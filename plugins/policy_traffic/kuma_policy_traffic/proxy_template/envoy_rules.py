"""What Envoy demands of a message beyond its types: lengths, limits, and choices that must be made.

Envoy refuses a whole update for one such field; told at the write, it costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from kuma_core.sdk.envoy import Message
from kuma_policy_traffic.proxy_template.field_rules import CHOICES, FIELD_RULES
from kuma_policy_traffic.proxy_template.given import problem
from kuma_policy_traffic.proxy_template.messages import fields_of

EACH = "each "
"""Before a rule for every item of a list."""

HEADER_NAME = r":?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+"
HEADER_VALUE = r"[^\x00-\x08\x0A-\x1F\x7F]*"
HEADER_TEXT = r"[^\x00\x0A\x0D]*"
_KEPT: Mapping[str, Callable[[Any, Any], object]] = {
    "min_len": lambda value, limit: len(value.encode() if isinstance(value, str) else value) >= limit,
    "max_len": lambda value, limit: len(value) <= limit,
    "max_bytes": lambda value, limit: len(value.encode()) <= limit,
    "header_name": lambda value, limit: re.fullmatch(HEADER_NAME, value),
    "header_value": lambda value, limit: re.fullmatch(HEADER_VALUE, value),
    "header_text": lambda value, limit: re.fullmatch(HEADER_TEXT, value),
    "min_items": lambda value, limit: len(value) >= limit,
    "max_items": lambda value, limit: len(value) <= limit,
    "gt": lambda value, limit: value > limit,
    "gte": lambda value, limit: value >= limit,
    "lt": lambda value, limit: value < limit,
    "lte": lambda value, limit: value <= limit,
}
_TEXTS = {
    "min_len": "value length must be at least {} bytes",
    "max_len": "value length must be at most {} characters",
    "max_bytes": "value length must be at most {} bytes",
    "header_name": "value must be the name of a header",
    "header_value": "value must be that of a header, without control characters",
    "header_text": "value must be without line feeds and NUL",
    "min_items": "value must contain at least {} item(s)",
    "max_items": "value must contain at most {} item(s)",
    "gt": "value must be greater than {}",
    "gte": "value must be greater than or equal to {}",
    "lt": "value must be less than {}",
    "lte": "value must be less than or equal to {}",
}


def check_rules(name: str, message: Message, path: str) -> None:
    """Raise ``ValueError`` for the first rule that a message of this full name breaks.

    ``path`` is where the message stands in the document.
    """
    short = ".".join(part for part in name.split(".") if part[0].isupper())
    for field, text in _broken(name, message):
        capitals = "".join(part.capitalize() for part in field.split("_"))
        raise problem(path, f"invalid {short}.{capitals}: {text}")


def _broken(name: str, message: Message) -> Iterator[tuple[str, str]]:
    for field, rules in FIELD_RULES.get(name, {}).items():
        yield from ((field, text) for text in _broken_by(getattr(message, field), rules))
    for choice in CHOICES.get(name, ()):
        members = [key for key, field in fields_of(name).items() if field.group == choice]
        if members and all(getattr(message, key) is None for key in members):
            yield choice, f"value is required, one of {', '.join(members)}"


def _broken_by(value: Any, rules: Mapping[str, int | float]) -> Iterator[str]:
    """A message or wrapper that is absent breaks no rule but that of being there."""
    if value is None:
        if "required" in rules:
            yield "value is required"
        return
    for rule, limit in rules.items():
        if rule.startswith(EACH):
            each = (text for item in value for text in _broken_by(item, {rule.removeprefix(EACH): limit}))
            yield from each
        bound = timedelta(microseconds=limit) if isinstance(value, timedelta) else limit
        if rule in _KEPT and not _KEPT[rule](value, bound):
            shown = f"{limit / 1e6:g}s" if isinstance(value, timedelta) else limit
            yield _TEXTS[rule].format(shown)
