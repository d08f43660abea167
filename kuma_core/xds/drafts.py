"""Envoy resources while generators and policies work on them: live messages, nothing packed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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

    def filter(self, name: str) -> Any:
        """The live configuration of the filter of a name; raises ``LookupError`` that says which ones there are.

        Policies find a filter by its name: its place depends on what else the proxy needs.
        """
        for item in self.filters:
            if item.name == name:
                return item.config
        there = ", ".join(item.name for item in self.filters) or "none"
        raise LookupError(f'the listener "{self.message.name}" has no filter {name}, but {there}')


Live = Message | ListenerDraft
"""What the ``build`` function of a draft returns."""
