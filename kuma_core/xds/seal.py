"""The end of drafting: a live resource becomes bytes, a version that is the hash of the bytes, and immutable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from betterproto2 import Message
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.message_pool import default_message_pool

from kuma_core.xds.contract import Draft
from kuma_core.xds.drafts import FilterDraft, ListenerDraft, Live
from kuma_core.xds.encoding import encode, tagged, validate
from kuma_core.xds.reserved import check_names

_VERSION_BYTES = 8
"""Short, for versions go out with every resource, and have to differ only among those of one client."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Sealed:
    """One Envoy resource as it goes out, shared by all proxies that have it; ``packed`` is the bytes of its ``Any``.

    We keep it once, not once a protocol: with mTLS and tokens a proxy has clusters of its own, some 3 kB each.
    """

    type_url: str
    name: str
    version: str
    packed: bytes = field(repr=False)
    owner: str = ""
    """Who drafted it, for messages; empty for a policy of which nobody knows."""
    draft: Draft | None = field(default=None, repr=False)
    """What it was made from; the memo keeps that as long as the resource anyway."""

    @property
    def sotw(self) -> bytes:
        """Field 2 of a ``DiscoveryResponse``; responses are written by concatenating such fields."""
        return tagged(2, self.packed)

    @property
    def delta(self) -> bytes:
        """Field 2 of a ``DeltaDiscoveryResponse``."""
        version, name = tagged(1, self.version.encode()), tagged(3, self.name.encode())
        return tagged(2, version + tagged(2, self.packed) + name)


def pack(message: Message) -> Any:
    """A message inside an ``Any``; raises ``ValueError``, with the field, if it is not valid."""
    validate(message)
    return Any(type_url=default_message_pool.type_to_url[type(message)], value=encode(message))


def seal(type_url: str, name: str, live: Live) -> Sealed:
    """Pack, encode and hash a live resource.

    Raises ``ValueError``, with the field, if it is not valid, and ``ReservedName`` if it is called ``*``.
    """
    return seal_encoded(type_url, name, encoded(name, live))


def encoded(name: str, live: Live) -> bytes:
    """The bytes of a live resource; raises as ``seal`` does."""
    check_names(name, live)
    message = _packed(live) if isinstance(live, ListenerDraft) else live
    validate(message)
    return encode(message)


def seal_encoded(type_url: str, name: str, body: bytes) -> Sealed:
    """Hash a resource that ``encoded`` made bytes of."""
    packed = tagged(1, type_url.encode()) + tagged(2, body)
    version = blake2b(body, digest_size=_VERSION_BYTES).hexdigest()
    return Sealed(type_url, name, version, packed)


def _packed(draft: ListenerDraft) -> Message:
    filters = [_pack(item) for item in draft.filters]
    chain = FilterChain(filters=filters, transport_socket=draft.transport_socket)
    draft.message.filter_chains = [*draft.message.filter_chains, chain]
    return draft.message


def _pack(draft: FilterDraft) -> Filter:
    return Filter(name=draft.name, typed_config=pack(draft.config))


def content_version(resources: Iterable[Sealed]) -> str:
    """One version for a set of resources: equal for equal content, and never empty."""
    digest = blake2b(digest_size=_VERSION_BYTES)
    for name, version in sorted((item.name, item.version) for item in resources):
        digest.update(f"{len(name)}:{name}{version}".encode())
    return digest.hexdigest()
