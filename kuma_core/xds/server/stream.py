"""What the two variants of a stream have in common: who it belongs to, and what is told about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from kuma_core.xds.proxy import Node
from kuma_core.xds.snapshot import TYPES, Snapshot

MANY_NAMES = frozenset((TYPES[0], TYPES[2]))
"""The types of which a client may ask for everything: clusters and listeners."""

LEFT = "its Envoy ended it, or the connection to it broke"
"""Why a stream ends that the client ends: the library does not tell the two apart."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a request says about a response.

    ``error`` is the client's text if it rejected it, and ``repeated`` that it had rejected the very same before.
    ``version`` is that of the type's content if the client now runs with all of it, else empty. ``refused`` are the
    client's texts for everything of the type that it refuses still.
    """

    error: str | None = None
    repeated: bool = False
    version: str = ""
    refused: str = ""


class Recorder(Protocol):
    """Is told what goes over one stream."""

    def sent(self, type_url: str) -> None:
        """A response went out."""
        ...

    def answered(self, type_url: str, answer: Acknowledgement) -> None:
        """A request answered a response."""
        ...

    def up_to_date(self, type_url: str, version: str) -> None:
        """The client runs with all of the type's content, of this version, and had not to be told of it."""
        ...


class ProtocolError(Exception):
    """The client asked for something that ends its stream. ``unimplemented`` tells the two codes apart."""

    def __init__(self, message: str, unimplemented: bool = False) -> None:
        super().__init__(message)
        self.unimplemented = unimplemented


class Stream(Protocol):
    """One client's state: requests and snapshots go in, responses come out. No I/O."""

    node: Node
    snapshot: Snapshot | None
    is_return: bool
    """Whether the client had resources when it came: it was here before, or at another control plane."""

    def take(self, data: bytes) -> None:
        """Account for a request; raises ``ProtocolError`` or ``MalformedRequest``."""
        ...

    def responses(self) -> Iterator[bytes]:
        """Everything that can be sent now. Each response counts as sent when it is yielded."""
        ...

    def wake(self) -> float | None:
        """When there may be something to send though nothing happens until then; ``None`` if never."""
        ...

    @property
    def rejections(self) -> int:
        """How many responses the client has rejected so far."""
        ...

    def at_rest(self) -> bool:
        """Whether no response is unanswered."""
        ...

    def settled(self, type_url: str) -> bool:
        """Whether the client has acknowledged the snapshot's resources of that type, or never asked for any."""
        ...


def check_type(type_url: str) -> bool:
    """Whether the type is served. A missing or v2 type raises; a type that nobody serves is left unanswered."""
    if not type_url:
        raise ProtocolError("type URL is required for ADS")
    if ".api.v2." in type_url:
        raise ProtocolError(f"{type_url} belongs to the v2 API; this server speaks v3", unimplemented=True)
    return type_url in TYPES
