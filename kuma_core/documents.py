"""Reading YAML and JSON text: bounded, and with one sentence for whatever is wrong with it.

Everything that a person writes passes here: resources for ``kumactl apply``, configuration files. A value is
what JSON can say: text, numbers, true, false, null, lists, and mappings whose keys are text. Nothing here
knows what the documents mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from kuma_core.errors import KumaError

MAX_DEPTH = 64
"""How deeply lists and mappings may be nested."""

MAX_NODES = 500_000
"""How many values all documents of a text may hold together, each alias counted as what it stands for."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = (_TAG + "null", _TAG + "bool", _TAG + "int", _TAG + "float")


class DocumentError(KumaError):
    """A text could not be read; the message names the source, the line and the column (both from 1)."""

    def __init__(self, source: str, line: int, column: int, problem: str) -> None:
        super().__init__(f"{source}, line {line}, column {column}: {problem}")
        self.source, self.line, self.column, self.problem = source, line, column, problem


MAX_SHOWN = 40
"""Characters of a value that is shown in a message."""


class WrittenNumber(float):
    """A number with a point or an exponent that knows how it was written: ``1e3`` is no more than 1000.0 else."""

    text: str

    def __new__(cls, text: str) -> WrittenNumber:
        """From JSON's notation."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def shown(value: object) -> str:
    """A value as people write it, for messages: ``"text"``, ``true``, ``null``, ``1e3``; no more than its kind
    if it is a list or a mapping, and its beginning if it is long."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = _shown_text(value) if isinstance(value, str) else _shown_scalar(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _shown_scalar(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return value.text if isinstance(value, WrittenNumber) else str(value)


def _shown_text(text: str) -> str:
    """In quotes, with what cannot be seen escaped as JSON does it."""
    import json

    quoted = (json.dumps(c)[1:-1] if not c.isprintable() or c in '"\\' else c for c in text[:MAX_SHOWN])
    return '"' + "".join(quoted) + '"' * (len(text) <= MAX_SHOWN)


def to_json(value: Any) -> str:
    """What ``load_documents`` gave as JSON, with every number as it was written."""
    import json

    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return value.text if isinstance(value, WrittenNumber) else json.dumps(value)


def load_documents(text: str, source: str, *, as_written: bool = False) -> list[Any]:
    """The values of all documents of a YAML or JSON ``text``, in order, without the empty ones.

    Objects and lists of JSON may follow one another, with or without white space between them, as jq and many other
    programs print them.

    ``source`` is what the text is called in errors, a file's name for example. With ``as_written`` a number with
    a point or an exponent is a ``WrittenNumber``. Plain words are what JSON would make of them: only ``true``,
    ``false``, ``null`` and JSON's numbers are not text, so that ``2020-01-01``, ``on`` and ``0755`` stay what was
    written. Lists and mappings that an alias repeats are
    one object, so treat the result as frozen.

    Raises DocumentError: malformed text, a key twice in a mapping or not text, a tag of another language,
    more than MAX_DEPTH levels, more than MAX_NODES values.
    """
    number = WrittenNumber if as_written else float
    text = text.lstrip("\ufeff")
    head = _json(text, number)
    if head.end == len(text):
        return head.values
    reader = _Reader(source, text, head, number)
    return head.values + [value for value in reader.documents() if value is not None]


@dataclass(slots=True)
class _Head:
    """What was read already of a text: its first values, how many values those hold, and where the rest begins."""

    values: list[Any] = field(default_factory=list)
    nodes: int = 0
    end: int = 0


_BLANK = re.compile(r"[ \t\r\n]*")
_NEXT_DOCUMENT = re.compile(r"[{\[]|(?<=\n)---|\Z")


def _json(text: str, number: type[float]) -> _Head:
    """The flawless objects and lists of JSON with which a text begins.

    YAML's reader gets the rest, and tells what is wrong with it. Where the rest begins no document, the text is YAML
    that only looked like JSON, and its reader gets all of it.
    """
    import json

    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse, parse_float=number)
    head = _Head(end=_after_blank(text, 0))
    while text[head.end : head.end + 1] in ("{", "["):
        try:
            value, end = decoder.raw_decode(text, head.end)
        except (ValueError, RecursionError):
            return head
        nodes = _plain_nodes(value)
        if not nodes or head.nodes + nodes > MAX_NODES:
            return head
        head.values.append(value)
        head.nodes, head.end = head.nodes + nodes, _after_blank(text, end)
    return head if head.values and _NEXT_DOCUMENT.match(text, head.end) else _Head()


def _after_blank(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    return found.end() if found else start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _refuse(_word: str) -> Any:
    raise ValueError("not a number of JSON")


def _plain_nodes(value: Any) -> int:
    """How many values a value holds; 0 if it breaks our bounds, or if a number or a text in it is no good one."""
    nodes, depth, level = 0, 0, [value]
    while level:
        nodes += len(level)
        too_deep = depth == MAX_DEPTH and any(isinstance(v, dict | list) for v in level)
        if too_deep or nodes > MAX_NODES or not all(map(_is_plain_scalar, level)):
            return 0
        level, depth = [child for v in level for child in _children(v)], depth + 1
    return nodes


def _is_plain_scalar(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain_scalar, value))
    if isinstance(value, str):
        return not any("\ud800" <= c <= "\udfff" for c in value) if not value.isascii() else True
    return not isinstance(value, float) or math.isfinite(value)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still being read."""

    start: Any
    mapping: bool
    nodes_before: int
    anchor: str | None
    height: int = 1
    items: list[Any] = field(default_factory=list)
    entries: dict[str, Any] = field(default_factory=dict)
    key: object = None
    merged: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What an alias stands for: the value, how many values that is, and how many levels."""

    value: Any
    nodes: int
    height: int


_MERGE = object()
"""Stands for the plain key ``<<``, which merges; in quotes it is a key like any other."""


class _Reader:
    """Builds values out of YAML's events, without recursion: depth costs no stack of ours."""

    def __init__(self, source: str, text: str, head: _Head, number: type[float]) -> None:
        self._source, self._text = source, text[head.end :]
        self._float = number
        self._lines = text.count("\n", 0, head.end)
        self._columns = head.end - text.rfind("\n", 0, head.end) - 1
        self._nodes = head.nodes
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchor | None] = {}
        self._document: Any = None

    def documents(self) -> Iterator[Any]:
        """Each document's value; None for an empty one."""
        for event in self._events():
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                self._anchors, self._document = {}, None
            elif kind == "DocumentEndEvent":
                yield self._document
            else:
                self._take(kind, event)

    def _events(self) -> Iterator[Any]:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            yield from yaml.parse(self._text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(mark, _explained(error, self._text[mark.index :][:1] if mark else "")) from None
        except yaml.reader.ReaderError as error:
            raise self._unreadable(error) from None
        except (UnicodeError, RecursionError) as error:
            raise self._at(0, 0, f"this is neither YAML nor JSON: {error}") from None

    def _unreadable(self, error: Any) -> DocumentError:
        before = self._text[: error.position]
        what = f"character U+{error.character:04X}" if isinstance(error.character, int) else "a character"
        column = len(before) - before.rfind("\n") - 1
        return self._at(before.count("\n"), column, f"{what} is not allowed in YAML or JSON text")

    def _error(self, mark: Any, problem: str) -> DocumentError:
        return self._at(mark.line, mark.column, problem) if mark is not None else self._at(0, 0, problem)

    def _at(self, line: int, column: int, problem: str) -> DocumentError:
        """The error at a place of the text that is read here, both from 0."""
        column += self._columns if line == 0 else 0
        return DocumentError(self._source, self._lines + line + 1, column + 1, problem)

    def _take(self, kind: str, event: Any) -> None:
        if kind == "ScalarEvent":
            self._add(self._anchored(event, self._scalar(event)), event, nodes=1)
        elif kind == "AliasEvent":
            self._alias(event)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, mapping=kind == "MappingStartEvent")
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._close()

    def _anchored(self, event: Any, value: Any) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(value, 1, 0)
        return value

    def _alias(self, event: Any) -> None:
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            known = event.anchor in self._anchors
            why = "refers to itself" if known else "refers to an anchor that does not come before it"
            raise self._error(
                event.start_mark, f'this alias {why}; put a text that begins with "*" in quotes'
            )
        self._check_depth(len(self._frames) + anchor.height, event)
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, anchor.height + 1)
        self._add(anchor.value, event, anchor.nodes)

    def _check_depth(self, depth: int, event: Any) -> None:
        if depth > MAX_DEPTH:
            raise self._error(event.start_mark, _TOO_DEEP)

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            problem = f"more than {MAX_NODES} values, each alias counted as what it stands for"
            raise self._error(event.start_mark, problem)

    def _open(self, event: Any, mapping: bool) -> None:
        self._check_depth(len(self._frames) + 1, event)
        if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
            raise self._error(event.start_mark, _UNKNOWN_TAG)
        self._refuse_as_key(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._frames.append(_Frame(event, mapping, self._nodes, event.anchor))

    def _refuse_as_key(self, event: Any) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.mapping and frame.key is None:
            raise self._error(event.start_mark, "a key must be text, but this one is a list or a mapping")

    def _close(self) -> None:
        frame = self._frames.pop()
        value: Any = {**frame.merged, **frame.entries} if frame.mapping else frame.items
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, frame.height + 1)
        self._add(value, frame.start, nodes=1)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchor(value, self._nodes - frame.nodes_before, frame.height)

    def _add(self, value: Any, event: Any, nodes: int) -> None:
        """Put a finished value where it belongs: the document, a list, or a mapping's key or value."""
        self._count(nodes, event)
        if not self._frames:
            self._document = value
        elif not self._frames[-1].mapping:
            self._frames[-1].items.append(value)
        elif self._frames[-1].key is None:
            self._frames[-1].key = self._key(value, event)
        else:
            self._set(self._frames[-1], value, event)

    def _key(self, value: Any, event: Any) -> object:
        if not isinstance(value, str):
            shown = event.value if hasattr(event, "value") else f"*{event.anchor}"
            raise self._error(event.start_mark, f"key {shown} is not text; put it in quotes")
        if value == "<<" and _is_unquoted(event):
            return _MERGE
        if value in self._frames[-1].entries:
            raise self._error(event.start_mark, f'key "{value}" occurs twice; keep one of them')
        return value

    def _set(self, frame: _Frame, value: Any, event: Any) -> None:
        key, frame.key = frame.key, None
        if key is not _MERGE:
            frame.entries[str(key)] = value
            return
        for mapping in value if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise self._error(event.start_mark, '"<<" wants a mapping or a list of mappings')
            frame.merged = {**mapping, **frame.merged}

    def _scalar(self, event: Any) -> Any:
        tag, text = event.tag, self._well_formed(event)
        if tag in (_TAG + "str", "!") or (tag is None and not _is_unquoted(event)):
            return text
        if tag is not None and tag not in _SCALAR_TAGS:
            raise self._error(event.start_mark, _UNKNOWN_TAG)
        if text in _WORDS:
            return _WORDS[text]
        return self._number(text, event) if _NUMBER.fullmatch(text) else text

    def _well_formed(self, event: Any) -> str:
        """The text of a scalar, JSON's escaped surrogate pairs put together."""
        text = cast(str, event.value)
        if text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeError:
            raise self._error(event.start_mark, "half a surrogate pair is not a character") from None

    def _number(self, text: str, event: Any) -> int | float:
        try:
            number: int | float = self._float(text) if any(c in ".eE" for c in text) else int(text)
        except ValueError:  # Python refuses integers of thousands of digits
            number = math.inf
        if isinstance(number, float) and not math.isfinite(number):
            raise self._error(event.start_mark, "this number is too large; put it in quotes if it is text")
        return number


def _is_unquoted(event: Any) -> bool:
    return not getattr(event, "style", '"')  # libyaml says "" and PyYAML's own parser None


def _explained(error: Any, character: str) -> str:
    """The problem in words; ``character`` is what stands at its place."""
    problem = error.problem or ""
    if "nesting depth" in problem:  # libyaml has a limit of its own, and looks far ahead
        return _TOO_DEEP
    if "tab character" in problem or (character == "\t" and "cannot start any token" in problem):
        return "this is neither YAML nor JSON: a tab stands here where YAML takes spaces only"
    parts = [part for part in (error.context, problem) if part]
    hint = "; put a line --- between two documents" if "<document start>" in problem else ""
    return "this is neither YAML nor JSON: " + ", ".join(dict.fromkeys(parts)) + hint


_TOO_DEEP = f"lists and mappings are nested deeper than {MAX_DEPTH} levels"
_UNKNOWN_TAG = 'this tag is not understood; put a text that begins with "!" in quotes, else leave the tag out'
"""The tag itself is not shown, nor the name of an alias: it may be a password that somebody did not quote."""
