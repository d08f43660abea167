"""The bytes of the xDS protocol: what a request says, and responses made by concatenating ready resources.

Only the fields that are used are read: the first request of a real Envoy carries some 60 kB of node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kuma_core.xds.encoding import tagged
from kuma_core.xds.proxy import Node


class MalformedRequest(ValueError):
    """The bytes are no protobuf message."""


@dataclass(frozen=True, slots=True)
class SotwRequest:
    """A ``DiscoveryRequest``. ``error`` is Envoy's text of a rejection, ``None`` if there is none."""

    type_url: str = ""
    version: str = ""
    nonce: str = ""
    names: tuple[str, ...] = ()
    node: Node | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DeltaRequest:
    """A ``DeltaDiscoveryRequest``; ``held`` are its initial resource versions, by name."""

    type_url: str = ""
    nonce: str = ""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    held: dict[str, str] = field(default_factory=dict)
    node: Node | None = None
    error: str | None = None


def parse_sotw(data: bytes) -> SotwRequest:
    """Read a ``DiscoveryRequest``; raises ``MalformedRequest``."""
    found = Fields(data)
    return SotwRequest(
        type_url=found.text(4),
        version=found.text(1),
        nonce=found.text(5),
        names=found.texts(3),
        node=_node(found.last(2)),
        error=_status(found.last(6)),
    )


def parse_delta(data: bytes) -> DeltaRequest:
    """Read a ``DeltaDiscoveryRequest``; raises ``MalformedRequest``."""
    found = Fields(data)
    entries = [Fields(entry) for entry in found.all(5)]
    return DeltaRequest(
        type_url=found.text(2),
        nonce=found.text(6),
        subscribe=found.texts(3),
        unsubscribe=found.texts(4),
        held={entry.text(1): entry.text(2) for entry in entries},
        node=_node(found.last(1)),
        error=_status(found.last(7)),
    )


def sotw_response(type_url: str, version: str, nonce: str, resources: Iterable[bytes]) -> bytes:
    """A ``DiscoveryResponse``; ``resources`` are ``Sealed.sotw``."""
    head = tagged(1, version.encode()) + tagged(4, type_url.encode()) + tagged(5, nonce.encode())
    return head + b"".join(resources)


def delta_response(
    type_url: str, version: str, nonce: str, resources: Iterable[bytes], removed: Iterable[str]
) -> bytes:
    """A ``DeltaDiscoveryResponse``; ``resources`` are ``Sealed.delta``."""
    head = tagged(1, version.encode()) + tagged(4, type_url.encode()) + tagged(5, nonce.encode())
    return head + b"".join(resources) + b"".join(tagged(6, name.encode()) for name in removed)


class Fields:
    """The length-delimited fields of one message, by number."""

    def __init__(self, data: bytes) -> None:
        self._found: dict[int, list[bytes]] = {}
        for number, value in _read(data):
            self._found.setdefault(number, []).append(value)

    def all(self, number: int) -> list[bytes]:
        return self._found.get(number, [])

    def last(self, number: int) -> bytes | None:
        values = self._found.get(number)
        return values[-1] if values else None

    def text(self, number: int) -> str:
        return _text(self.last(number) or b"")

    def texts(self, number: int) -> tuple[str, ...]:
        return tuple(_text(value) for value in self.all(number))


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedRequest("a text is not UTF-8") from None


def _read(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk over a message; fields that are not length-delimited are passed over."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 2:
            size, position = _varint(data, position)
            if position + size > end:
                raise MalformedRequest("a field is longer than its message")
            yield tag >> 3, data[position : position + size]
            position += size
        elif wire == 0:
            _, position = _varint(data, position)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise MalformedRequest(f"wire type {wire} is not used any more")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if position >= len(data):
            raise MalformedRequest("the message ends in the middle of a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedRequest("a number has more than 64 bits")


def _node(node: bytes | None) -> Node | None:
    if not node:
        return None
    found = Fields(node)
    return Node(found.text(1), dict(_texts_of_struct(found.last(3) or b"")))


def _texts_of_struct(struct: bytes) -> Iterator[tuple[str, str]]:
    """The members of a ``google.protobuf.Struct`` that are texts."""
    for entry in map(Fields, Fields(struct).all(1)):
        text = Fields(entry.last(2) or b"").last(3)
        if text is not None:
            yield entry.text(1), _text(text)


def _status(status: bytes | None) -> str | None:
    if status is None:
        return None
    return Fields(status).text(2) or "no reason given"
