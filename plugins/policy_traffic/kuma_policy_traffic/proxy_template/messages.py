"""Envoy's message types by name, and the fields of each; there are thousands, so they load when asked for."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from kuma_core.sdk.envoy import Message, default_message_pool
from kuma_policy_traffic.proxy_template.v2_types import PREVIOUS, REMOVED, RENAMED

PREFIX = "type.googleapis.com/"
NEXT: Mapping[str, str] = {old: new for new, old in PREVIOUS.items()}
"""By the name of a v2 message: the v3 message that it became."""

_NAME = re.compile(r"((?:envoy|google|xds|udpa)(?:\.[a-z][a-z0-9_]*)+)((?:\.[A-Z][A-Za-z0-9_]*)+)")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    ``kind`` is its protobuf type, ``cls`` the class of its values if it is a message or an enum, and
    ``wrapper`` the well-known type whose values are plain ones in Python. ``key`` is set for maps, whose
    values the other attributes describe.
    """

    name: str
    kind: str
    cls: type[Any]
    wrapper: str
    group: str
    repeated: bool
    key: str


def find_type(name: str) -> tuple[type[Message], bool]:
    """The v3 class for the name of a v2 or v3 message, and whether the name is one of v2.

    Raises ``ValueError`` for a name that nobody knows and for a type that v3 no longer has.
    """
    old = name in NEXT
    cls = _v3_type(NEXT.get(name, name))
    if cls is None:
        why = " (Envoy v3 no longer has it)" if old else ""
        raise ValueError(f'unknown message type "{name:.200}"{why}')
    return cls, old


def v3_type(name: str) -> type[Message]:
    """The class of a v3 message that is known to exist."""
    cls = _v3_type(name)
    assert cls is not None, name
    return cls


def _v3_type(name: str) -> type[Message] | None:
    known: Mapping[str, type[Message]] = default_message_pool.url_to_type
    match = _NAME.fullmatch(name)
    if match is not None and PREFIX + name not in known:
        with suppress(ModuleNotFoundError):
            importlib.import_module(f"envoy_data_plane.{match[1]}")
    return known.get(PREFIX + name)


def name_of(cls: type[Message]) -> str:
    """The full name of a message, as in ``envoy.config.cluster.v3.Cluster``."""
    url: str = default_message_pool.type_to_url[cls]
    return url.removeprefix(PREFIX)


@cache
def fields_of(message: str) -> Mapping[str, Field]:
    """The fields of a v3 message, given by its full name, by their names in the schema."""
    proto = v3_type(message)._betterproto
    return {name: _field(name, meta, proto.cls_by_field) for name, meta in proto.meta_by_field_name.items()}


def _field(name: str, meta: Any, classes: Mapping[str, type[Any]]) -> Field:
    key, value = meta.map_meta or (None, meta)
    return Field(
        name=name,
        kind=value.proto_type,
        cls=classes[f"{name}.value"] if key else classes[name],
        wrapper=value.unwrap().__name__ if value.unwrap else "",
        group=meta.group or "",
        repeated=bool(meta.repeated),
        key=key.proto_type if key else "",
    )


@cache
def spellings(message: str, old: bool) -> Mapping[str, str]:
    """By snake_case and lowerCamelCase: the name of a field in v3.

    ``old`` adds the fields that only v2 had: renamed ones lead to their new names, removed ones to their own.
    """
    known = spelled(fields_of(message))
    if old:
        previous = PREVIOUS.get(message, "")
        renamed = RENAMED.get(previous, {})
        known |= {spelling: renamed[name] for spelling, name in spelled(renamed).items()}
        known |= spelled(REMOVED.get(previous, ()))
    return known


def spelled(names: Iterable[str]) -> dict[str, str]:
    """Both spellings of each name."""
    return {spelling: name for name in names for spelling in (name, camel(name))}


def camel(name: str) -> str:
    """The JSON name of a field: ``http2_protocol_options`` becomes ``http2ProtocolOptions``."""
    return re.sub("_([a-z0-9])", lambda match: match[1].upper(), name)


def enum_values(cls: type[Any]) -> Mapping[str, int]:
    """The values of an enum by the names of the schema, which Python's names may be shorter than."""
    renamed: dict[str, int] = cls.betterproto_renamed_proto_names_to_value()
    taken = set(renamed.values())
    return renamed | {name: int(value) for name, value in cls.__members__.items() if value not in taken}
