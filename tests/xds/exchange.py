"""The raw exchange with a stream: one request in, the responses out, nothing that answers by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from envoy_data_plane.google.rpc import Status

from kuma_core.xds.contract import SHORT_NAMES
from kuma_core.xds.fields import Fields
from kuma_core.xds.snapshot import Snapshot

from .simulation import VARIANTS, Recorder


@dataclass(frozen=True)
class Said:
    """A response: the short name of its type, and the names that it brings and removes."""

    type: str
    names: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    nonce: str = ""
    version: str = ""


class Exchange:
    """A stream to which a test speaks word for word. Time stands still unless it is told to pass."""

    def __init__(self, variant: str, snapshot: Snapshot | None = None) -> None:
        self.variant, self.now = variant, 0.0
        self.recorder = Recorder()
        self.stream = VARIANTS[variant][0](self.recorder, lambda: self.now)
        self.stream.snapshot = snapshot
        self._last: dict[str, Said] = {}

    def give(self, snapshot: Snapshot) -> list[Said]:
        """Have the control plane want something else."""
        self.stream.snapshot = snapshot
        return self._heard()

    def later(self, seconds: float) -> list[Said]:
        """Let time pass."""
        self.now += seconds
        return self._heard()

    def ack(self, type_url: str, names: Iterable[str] = ()) -> list[Said]:
        """Accept the last response of a type; state of the world repeats the names that are wanted."""
        last = self._last[SHORT_NAMES[type_url]]
        if self.variant == "delta":
            return self.delta(type_url, response_nonce=last.nonce)
        return self.sotw(type_url, names, version_info=last.version, response_nonce=last.nonce)

    def nack(self, type_url: str, names: Iterable[str] = ()) -> list[Said]:
        """Refuse the last response of a type."""
        last, error = self._last[SHORT_NAMES[type_url]], Status(code=13, message="no")
        if self.variant == "delta":
            return self.delta(type_url, response_nonce=last.nonce, error_detail=error)
        return self.sotw(type_url, names, response_nonce=last.nonce, error_detail=error)

    def ask(self, type_url: str, *names: str) -> list[Said]:
        """The first request of a type."""
        if self.variant == "delta":
            return self.delta(type_url, resource_names_subscribe=names)
        return self.sotw(type_url, names)

    def delta(self, type_url: str, **fields) -> list[Said]:
        """Send a ``DeltaDiscoveryRequest``."""
        lists = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
        return self._send(bytes(DeltaDiscoveryRequest(type_url=type_url, **lists)))

    def sotw(self, type_url: str, names: Iterable[str] = (), **fields) -> list[Said]:
        """Send a ``DiscoveryRequest``."""
        return self._send(bytes(DiscoveryRequest(type_url=type_url, resource_names=list(names), **fields)))

    def last_nonce(self, type_url: str) -> str:
        """The nonce of the last response of a type."""
        return self._last[SHORT_NAMES[type_url]].nonce

    def _send(self, data: bytes) -> list[Said]:
        self.stream.take(data)
        return self._heard()

    def _heard(self) -> list[Said]:
        heard = [self._read(data) for data in self.stream.responses()]
        self._last |= {item.type: item for item in heard}
        return heard

    def _read(self, data: bytes) -> Said:
        if self.variant == "delta":
            found = DeltaDiscoveryResponse.parse(data)
            names, removed = tuple(item.name for item in found.resources), tuple(found.removed_resources)
            version = found.system_version_info
        else:
            whole = DiscoveryResponse.parse(data)
            names, removed = tuple(Fields(item.value).text(1) for item in whole.resources), ()
            found, version = whole, whole.version_info
        return Said(SHORT_NAMES[found.type_url], names, removed, found.nonce, version)


def gist(said: Iterable[Said]) -> list[tuple]:
    """Types, names, and removed names if there are any."""
    return [
        (item.type, item.names, item.removed) if item.removed else (item.type, item.names) for item in said
    ]
