"""How Envoy messages become bytes: an encoder compiled once per message class.

``bytes(message)`` of the library builds a validator for every nested message at every call, which costs ten
times as much. The encoders here are made from the library's own field metadata and yield the same bytes,
except that maps are sorted by key: Envoy hashes what it gets, so equal content must be equal bytes.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import pydantic_core
from betterproto2 import FieldMetadata, Message

Encode = Callable[[Any], bytes]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_TYPES = frozenset(("enum", "bool", "int32", "int64", "uint32", "uint64"))
_ZIGZAG_TYPES = frozenset(("sint32", "sint64"))
_FIXED = {
    "double": ("<d", _FIXED64),
    "float": ("<f", _FIXED32),
    "fixed32": ("<I", _FIXED32),
    "fixed64": ("<Q", _FIXED64),
    "sfixed32": ("<i", _FIXED32),
    "sfixed64": ("<q", _FIXED64),
}


def varint(value: int) -> bytes:
    """An integer of up to 64 bits as protobuf writes it; negative ones take ten bytes."""
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)


def tagged(number: int, payload: bytes) -> bytes:
    """A length-delimited field: a message, a text or bytes."""
    return varint(number << 3 | _BYTES) + varint(len(payload)) + payload


def encode(message: Message) -> bytes:
    """The message as bytes, maps sorted. It has to be valid; see ``validate``."""
    cls: Any = type(message)
    return _encoder(cls)(message)


@cache
def _encoder(cls: Any) -> Encode:
    """The encoder of one class; fields are written in the order in which the library writes them."""
    fields = [
        (name, _field_encoder(meta), _default(meta, cls, name))
        for name, meta in cls._betterproto.meta_by_field_name.items()
    ]

    def run(message: Any) -> bytes:
        out = bytearray()
        for name, encode_field, default in fields:
            value = getattr(message, name)
            if value is not None and value != default:
                out += encode_field(value)
        return bytes(out + message._unknown_fields)

    return run


def _default(meta: FieldMetadata, cls: type[Message], name: str) -> Any:
    return cls._betterproto.default_gen[name]()


def _field_encoder(meta: FieldMetadata) -> Encode:
    if meta.map_meta:
        return _map_encoder(meta)
    wire, payload = _payload_encoder(meta.proto_type, meta.unwrap)
    if meta.repeated and wire != _BYTES:
        return lambda values: tagged(meta.number, b"".join(payload(value) for value in values))
    one = _single_encoder(meta.number, wire, payload)
    if meta.repeated:
        return lambda values: b"".join(one(value) for value in values)
    return one


def _single_encoder(number: int, wire: int, payload: Encode) -> Encode:
    tag = varint(number << 3 | wire)
    if wire != _BYTES:
        return lambda value: tag + payload(value)

    def run(value: Any) -> bytes:
        body = payload(value)
        return tag + varint(len(body)) + body

    return run


def _map_encoder(meta: FieldMetadata) -> Encode:
    assert meta.map_meta is not None
    key_meta, value_meta = meta.map_meta
    key = _single_encoder(1, *_payload_encoder(key_meta.proto_type, None))
    value = _single_encoder(2, *_payload_encoder(value_meta.proto_type, value_meta.unwrap))
    return lambda entries: b"".join(
        tagged(meta.number, key(name) + value(entries[name])) for name in sorted(entries)
    )


def _payload_encoder(proto_type: str, unwrap: Callable[[], Any] | None) -> tuple[int, Encode]:
    """The wire type of a field, and what turns one of its values into bytes (without tag and length)."""
    if proto_type in _VARINT_TYPES:
        return _VARINT, lambda value: varint(int(value))
    if proto_type in _ZIGZAG_TYPES:
        return _VARINT, lambda value: varint(value << 1 if value >= 0 else (value << 1) ^ ~0)
    if proto_type in _FIXED:
        layout, wire = _FIXED[proto_type]
        return wire, lambda value: struct.pack(layout, value)
    if proto_type == "string":
        return _BYTES, lambda value: value.encode("utf-8")
    if proto_type == "bytes":
        return _BYTES, bytes
    if unwrap is not None:
        wrapper = unwrap
        return _BYTES, lambda value: encode(wrapper().from_wrapped(value))
    return _BYTES, encode


def append(message: Message, encoded: bytes) -> None:
    """Give a message more fields, already encoded by ``encode`` of another message of its class.

    They are written after its own ones. What many messages have in common is so validated and encoded once.
    """
    message._unknown_fields += encoded


@cache
def _validator(cls: Any) -> pydantic_core.SchemaValidator:
    return pydantic_core.SchemaValidator(cls.__pydantic_core_schema__)


def validate(message: Message) -> None:
    """Check a live message and all below it for wrong types and for two members of one choice.

    The library checks only what a constructor is given, not what is assigned later. Raises ``ValueError``
    with the path of the field.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an operator may well use an old field
        _validate(message, "")


def _validate(message: Message, path: str) -> None:
    values = {name: getattr(message, name) for name in message._betterproto.meta_by_field_name}
    cls: Any = type(message)
    try:
        _validator(cls).validate_python(values)
    except pydantic_core.ValidationError as error:
        first = error.errors()[0]
        where = ".".join([path, *map(str, first["loc"])]).strip(".")
        raise ValueError(f"{where or type(message).__name__}: {first['msg']}") from None
    for name, value in values.items():
        for step, child in _children(value):
            _validate(child, f"{path}.{name}{step}".lstrip("."))


def _children(value: Any) -> list[tuple[str, Message]]:
    if isinstance(value, Message):
        return [("", value)]
    if isinstance(value, list):
        return [(f"[{i}]", item) for i, item in enumerate(value) if isinstance(item, Message)]
    if isinstance(value, dict):
        return [(f"[{key!r}]", item) for key, item in value.items() if isinstance(item, Message)]
    return []
