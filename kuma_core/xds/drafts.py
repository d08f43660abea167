"""Envoy resources while they are still being worked on: live messages, nothing packed yet."""

from __future__ import annotations

from dataclasses import dataclass, field

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import Listener


@dataclass(slots=True)
class FilterDraft:
    """A network filter and its live configuration."""

    name: str
    config: Message


@dataclass(slots=True)
class ListenerDraft:
    """A listener with one filter chain, whose filters can still be edited as messages.

    ``message`` holds everything but the filter chain; sealing packs the filters, in order, and adds it, with
    the transport socket if there is one.
    """

    message: Listener
    filters: list[FilterDraft] = field(default_factory=list)
    transport_socket: TransportSocket | None = None


Live = Message | ListenerDraft
"""What the ``build`` function of a draft returns."""
