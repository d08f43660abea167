"""Between a Resource, the JSON text in a store, and the flat JSON item that clients see."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kuma_core.documents import WrittenNumber, shown
from kuma_core.errors import MalformedResource, UnreadableResource, Violation
from kuma_core.model import META, Resource, ResourceType, Scope
from kuma_core.resources.contract import Record
from kuma_core.resources.fencing import unmarked
from kuma_core.specs.base import to_document

MAX_DEPTH = 64
"""How deeply a document may be nested; no spec needs a quarter of it."""


def encode(resource: Resource) -> str:
    """The document that a store keeps: the spec alone, equal text for equal specs.

    Raises ``UnreadableResource`` for a spec that JSON has no words for.
    """
    try:
        return _encoder.encode(resource.spec.to_stored())
    except Exception as error:  # a kind's own code may be asked
        raise UnreadableResource(f"the resource {resource.key} cannot be written as JSON: {error}") from error


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True, allow_nan=False)


def decode(kind: ResourceType, record: Record) -> Resource:
    """The resource of a stored record.

    Raises ``UnreadableResource``, which names the record, if this version of the kind cannot read it.
    """
    try:
        spec = kind.spec.from_stored(unmarked(json.loads(record.document)))
    except Exception as error:  # a kind's own code may be asked
        raise UnreadableResource(
            f"the stored resource {record.key} cannot be read: {error}", record.key
        ) from error
    return Resource(record.key, spec, record.version)


def to_item(kind: ResourceType, resource: Resource) -> dict[str, Any]:
    """The item as REST serves it: meta and spec in one object, its top level sorted."""
    item = {"type": kind.name, "name": resource.name, **to_document(resource.spec)}
    if kind.scope is Scope.MESH:
        item["mesh"] = resource.mesh
    return dict(sorted(item.items()))


def spec_part(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item without its meta keys, which are matched without regard to case."""
    return {key: value for key, value in item.items() if key.lower() not in META}


def meta_part(item: Mapping[str, Any]) -> dict[str, Any]:
    """The meta keys of an item, in lower case."""
    return {key.lower(): value for key, value in item.items() if key.lower() in META}


def read_json(body: bytes) -> Mapping[str, Any]:
    """The first JSON value of a request body, which must be an object.

    Raises ``MalformedResource``, whose one violation says what is wrong; bytes behind the value count for
    nothing, as in 0.3.1. It refuses what a store or Envoy could not take (NUL, half a surrogate pair, infinity),
    and a key that is given twice.
    """
    try:
        text = body.decode("utf-8").lstrip()
        value, _ = _decoder.raw_decode(text)
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"the body is not valid JSON: {error.msg} ({where})" if text else "empty") from None
    except RecursionError:
        raise _malformed(f"the body is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise _malformed(f"the body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise _malformed(f"expected a JSON object, got {_JSON_TYPES[type(value)]}")
    if _deeper_than(value, MAX_DEPTH):
        raise _malformed(f"the body is nested more than {MAX_DEPTH} levels deep")
    if "\\u" in text:
        _refuse_unstorable(value)
    return value


_JSON_TYPES = {
    list: "a list",
    str: "a text",
    int: "a number",
    WrittenNumber: "a number",
    bool: "a flag",
    type(None): "null",
}
MAX_DIGITS = 100
"""Python reads long numbers in quadratic time."""
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
MAX_SHOWN = 80
_PLAIN_KEY = re.compile(rf"[A-Za-z]\w{{,{MAX_SHOWN}}}", re.ASCII)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} is given twice in one object")
        found[key] = value
    return found


def _whole_number(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _fraction(text: str) -> float:
    value = WrittenNumber(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.40} is too large")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON value")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole_number, parse_float=_fraction, parse_constant=_no_constant
)


def _refuse_unstorable(value: object) -> None:
    field = _unstorable(value, "")
    if field:
        text = "holds the character NUL or half a surrogate pair"
        raise MalformedResource([Violation(field, text)], details=f"the body {text}")


def _unstorable(value: object, path: str) -> str:
    """The path of the first text, or the first key, that cannot be stored; empty if all can be."""
    if isinstance(value, str):
        return path if _NOT_STORABLE.search(value) else ""
    children: Iterable[tuple[str, object]] = ()
    if isinstance(value, dict):
        children = ((_member(path, key), part) for key, item in value.items() for part in (key, item))
    elif isinstance(value, list):
        children = ((f"{path}[{number}]", item) for number, item in enumerate(value))
    return next(filter(None, (_unstorable(child, below) for below, child in children)), "")


def _member(path: str, key: str) -> str:
    """The path of a member, as short as a reader needs it, with what cannot be shown escaped."""
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}".lstrip(".")
    return f"{path}[{json.dumps(key[:MAX_SHOWN])}]"


def _deeper_than(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for item in layer
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        ]
        if not layer:
            return False
    return True


def _malformed(message: str) -> MalformedResource:
    text = "the body is empty; expected a JSON object" if message == "empty" else message
    return MalformedResource([Violation("", text)], details=text)
