"""The bytes of the xDS protocol: what a request says, and responses made by concatenating ready resources.

Requests come from the network, and are read in the event loop: by protobuf's parser in C, only the fields that are used
(the first request of a real Envoy carries some 60 kB of node), and never more names than a proxy can have use for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from kuma_core.xds.encoding import tagged
from kuma_core.xds.proxy import KNOWN, Node
from kuma_core.xds.server.messages import DeltaDiscoveryRequest, DiscoveryRequest

MOST_NAMES = 20_000
"""How many resources of one type a stream may name: several times what the largest proxies are known to have."""
MOST_NAME_BYTES = 2 * 1024 * 1024
"""How many bytes these names may have together, and their versions with them."""
LONGEST_ID = 1024
"""Characters of a node id."""
LONGEST_METADATA = 4096
"""Characters of a text of a node's metadata; the longest are paths of files."""
LONGEST_ERROR = 16 * 1024
"""How much of the text of a rejection is looked at."""

_GZIP = b"\x1f\x8b"


class MalformedRequest(ValueError):
    """The bytes are no request that is served."""


class CompressedRequest(MalformedRequest):
    """The bytes are compressed, which nothing here unpacks: four kilobytes may be four megabytes then."""

    def __init__(self) -> None:
        super().__init__("the request is compressed, and this server unpacks nothing; send it as it is")


class ExcessiveRequest(MalformedRequest):
    """The request says more than a proxy can have to say."""


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
    found = _parsed(DiscoveryRequest, data)
    return SotwRequest(
        type_url=found.type_url,
        version=found.version_info,
        nonce=found.response_nonce,
        names=_names(found.resource_names),
        node=_node(found),
        error=_error(found),
    )


def parse_delta(data: bytes) -> DeltaRequest:
    """Read a ``DeltaDiscoveryRequest``; raises ``MalformedRequest``."""
    found = _parsed(DeltaDiscoveryRequest, data)
    return DeltaRequest(
        type_url=found.type_url,
        nonce=found.response_nonce,
        subscribe=_names(found.resource_names_subscribe),
        unsubscribe=_names(found.resource_names_unsubscribe),
        held=_held(found.initial_resource_versions),
        node=_node(found),
        error=_error(found),
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


def check_names(count: int, size: int) -> None:
    """Raises ``ExcessiveRequest`` if a stream names more resources of a type, or longer ones, than it may."""
    if count > MOST_NAMES:
        raise ExcessiveRequest(
            f"a stream may name {MOST_NAMES} resources of a type, and this one names {count}"
        )
    if size > MOST_NAME_BYTES:
        raise ExcessiveRequest(
            f"the names of a stream's resources of a type may have {MOST_NAME_BYTES} bytes, and these have {size}"
        )


def _parsed(message: Any, data: bytes) -> Any:
    if data.startswith(_GZIP):  # no message begins so: it would be a field of a kind that there is not
        raise CompressedRequest
    try:
        return message.FromString(data)
    except DecodeError:
        raise MalformedRequest("the request is no protobuf message of this method") from None


def _names(found: Sequence[str]) -> tuple[str, ...]:
    check_names(len(found), 0)  # before any of them becomes a text
    names = tuple(found)
    check_names(len(names), sum(map(len, names)))
    return names


def _held(found: Any) -> dict[str, str]:
    check_names(len(found), 0)
    held = dict(found)
    check_names(len(held), sum(len(name) + len(version) for name, version in held.items()))
    return held


def _short(what: str, text: str, most: int = LONGEST_ID) -> str:
    if len(text) > most:
        raise ExcessiveRequest(f"the {what} has {len(text)} characters, and may have {most}")
    return text


def _node(request: Any) -> Node | None:
    """The node, unless it is missing or says nothing at all; of its metadata only what somebody looks at."""
    if not request.HasField("node"):
        return None
    node = request.node
    members = node.metadata.fields
    texts = {
        key: _short(f"metadata {key}", members[key].string_value, LONGEST_METADATA)
        for key in KNOWN
        if key in members and members[key].HasField("string_value")
    }
    return Node(_short("node id", node.id), texts)


def _error(request: Any) -> str | None:
    if not request.HasField("error_detail"):
        return None
    return request.error_detail.message[:LONGEST_ERROR] or "no reason given"
