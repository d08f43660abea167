"""What the columns of the table can hold, and the sentence for what they cannot."""

from __future__ import annotations

from types import MappingProxyType

from kuma_core.sdk import InvalidResource, ResourceKey, Violation

LONGEST = MappingProxyType({"name": 300, "mesh": 253, "type": 100})
"""How many characters each may have: the widths of the columns. All together, they fit into a row of the index
(2704 bytes) and into a notification (8000 bytes), whatever the characters are."""

_NO_VERSION = -1
"""No stored version is negative."""


def require_storable(key: ResourceKey, document: str) -> None:
    """Raise ``InvalidResource`` for a key or a document that the table cannot hold."""
    problems = [*_problems_of(key), *_problems_of_text("", document)]
    if problems:
        raise InvalidResource(problems)


def can_be_stored(key: ResourceKey) -> bool:
    """Whether there can be a record of that key at all."""
    return not _problems_of(key)


def as_number(version: str) -> int:
    """A version as the table has it; one that no store of ours gave fits no record."""
    known = version.isascii() and version.isdecimal() and len(version) <= 18
    return int(version) if known else _NO_VERSION


def _problems_of(key: ResourceKey) -> list[Violation]:
    problems = []
    for field, text in (("name", key.name), ("mesh", key.mesh), ("type", key.type)):
        longest = LONGEST[field]
        if len(text) > longest:
            message = f"may have at most {longest} characters in this store, has {len(text)}"
            problems.append(Violation(field, message))
        problems += _problems_of_text(field, text)
    return problems


def _problems_of_text(field: str, text: str) -> list[Violation]:
    """PostgreSQL stores any text but the character NUL; half of a surrogate pair is no text."""
    if "\0" in text:
        return [Violation(field, "may not hold the character NUL")]
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return [Violation(field, f"is not Unicode: character {error.start} is half of a surrogate pair")]
    return []
