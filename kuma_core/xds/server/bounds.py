"""How much of the control plane one client may use: what it says before it is known, and how many streams it has.

Who is known has bounds for each dataplane, and reaching them ends what is oldest: after a partition dead streams
linger, and the newest one is that of the living. Who is not known has bounds for each address, and is refused.
Everything here runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from kuma_core.errors import KumaError

SERVER_OPTIONS = (
    ("grpc.per_message_decompression", 0),  # what a client packed stays packed, and is refused
    ("grpc.http2.bdp_probe", 0),  # a client that sends fast is not granted megabytes before it is known
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 30_000),
)
"""What the library is told for every port of proxies: connections that say nothing, or on which nobody asks for
anything, end by themselves."""

INTRODUCTION_SECONDS = 10.0
"""How long a client may take for its first request."""
MOST_OF_A_STRANGER = 64 * 1024
"""Bytes of a request of a client without a good credential. A real Envoy's first one has 61 kB, most of them the names
of its extensions."""
MOST_UNPROVED = 256 * 1024
"""Bytes that a client with a good credential may send until it is known which dataplane it is."""

STRANGERS = 1_000
"""How many streams may be open without a good credential; one address may have a tenth of them."""
SILENT = 1_024
"""How many streams of one credential may have said nothing. A proxy's first request comes right behind its stream, and
each stream costs the library 23 kB, whatever it says."""
UNDECIDED = 4_096
"""How many streams of one credential may have said which dataplane they are while nobody knows yet if that is true.
All proxies that share a credential may come back at once."""
STREAMS = 16
"""How many streams a dataplane may have on a port. It needs one on 5678 and two on 5677; twice as many after a
partition, or while Envoy restarts hot."""
LINGERING = 4
"""How many times as many streams may be there as may be open."""
DESCRIPTIONS = 4
"""In how many ways a dataplane may describe itself at once: each costs a configuration of its own."""
RECENT_DESCRIPTIONS = 8
"""How many descriptions are remembered, so that a proxy that comes back does not wait."""
DESCRIPTION_SECONDS = 2.0
"""How often a dataplane may come up with another description, once it has used up ``DESCRIPTIONS``."""
REMEMBERED = 10_000
"""Of how many dataplanes that is remembered."""

End = Callable[[KumaError], None]


class TooMany(KumaError):
    """There are as many streams as there may be."""


class TooSlow(KumaError):
    """A client did not say in time who it is."""

    def __init__(self) -> None:
        super().__init__(f"no request said within {INTRODUCTION_SECONDS:g} seconds whose stream this is")


class Strangers:
    """The open streams of clients that showed no good credential."""

    def __init__(self, most: int = STRANGERS) -> None:
        self._most = most
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_address.total()

    @contextmanager
    def one_more(self, address: str) -> Iterator[None]:
        """For as long as such a stream is open; raises ``TooMany``."""
        of_one = self._most // 10
        if self._by_address[address] >= of_one:
            raise TooMany(
                f"{of_one} streams from {address} are open without a good credential, and no more may be"
            )
        if len(self) >= self._most:
            raise TooMany(f"{self._most} streams are open without a good credential, and no more may be")
        self._by_address[address] += 1
        try:
            yield
        finally:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class Crowds:
    """Open streams by whom they belong to; of more than ``most`` the oldest ends.

    A stream whose client reads nothing ends only when that one reads again, or leaves; ``LINGERING`` times as many
    may be there in all.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._streams: dict[Hashable, dict[object, End]] = {}
        self._there: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return self._there.total()

    @contextmanager
    def one_more(self, owner: Hashable, end: End) -> Iterator[None]:
        """For as long as a stream is there; ``end`` is called if it has to go for a newer one. Raises ``TooMany``."""
        if self._there[owner] >= LINGERING * self._most:
            raise TooMany(f"{self._there[owner]} streams of {self._what} are there, of which some do not end")
        streams, stream = self._streams.setdefault(owner, {}), object()
        self._there[owner] += 1
        streams[stream] = end
        if len(streams) > self._most:
            oldest = next(iter(streams))
            streams.pop(oldest)(
                TooMany(f"{self._most} newer streams of {self._what} are open; this one made room")
            )
        try:
            yield
        finally:
            streams.pop(stream, None)
            self._there[owner] -= 1
            if not self._there[owner]:
                del self._there[owner], self._streams[owner]


class Descriptions:
    """What the open streams of each dataplane say of it: few things at once, and seldom something new.

    Each description is a configuration that has to be made. A dataplane that always comes with another one waits, and
    nobody else does.
    """

    def __init__(self) -> None:
        self._open: dict[Hashable, list[tuple[Hashable, End]]] = {}
        self._recent: OrderedDict[Hashable, _Recent] = OrderedDict()

    async def pace(self, owner: Hashable, description: Hashable) -> None:
        """Wait until the dataplane may describe itself so; not at all, as a rule."""
        recent = self._recent.setdefault(owner, _Recent())
        self._recent.move_to_end(owner)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        if seconds := recent.wait(hash(description), asyncio.get_running_loop().time()):
            await asyncio.sleep(seconds)

    @contextmanager
    def one_more(self, owner: Hashable, description: Hashable, end: End) -> Iterator[None]:
        """For as long as a stream is open; those of the oldest description end if there are too many."""
        streams, stream = self._open.setdefault(owner, []), (description, end)
        streams.append(stream)
        self._make_room(streams)
        try:
            yield
        finally:
            if stream in streams:
                streams.remove(stream)
            if not streams and self._open.get(owner) is streams:
                del self._open[owner]

    @staticmethod
    def _make_room(streams: list[tuple[Hashable, End]]) -> None:
        """The description whose last stream came first goes."""
        last_seen = dict.fromkeys(description for description, _ in reversed(streams))
        if len(last_seen) > DESCRIPTIONS:
            oldest = list(last_seen)[-1]
            for stream in [stream for stream in streams if stream[0] == oldest]:
                streams.remove(stream)
                stream[1](TooMany(f"{DESCRIPTIONS} newer descriptions of this dataplane are in use"))


class _Recent:
    """When a dataplane may come up with another description."""

    def __init__(self) -> None:
        self._free_at: OrderedDict[int, float] = OrderedDict()
        self._last = float("-inf")

    def wait(self, description: int, now: float) -> float:
        """How many seconds are to pass; those who wait already are counted, as far as there can be any."""
        if description not in self._free_at:
            earliest, latest = (
                now - (DESCRIPTIONS - 1) * DESCRIPTION_SECONDS,
                now + STREAMS * DESCRIPTION_SECONDS,
            )
            self._last = min(max(self._last + DESCRIPTION_SECONDS, earliest), latest)
            self._free_at[description] = self._last
            if len(self._free_at) > RECENT_DESCRIPTIONS:
                self._free_at.popitem(last=False)
        self._free_at.move_to_end(description)
        return max(0.0, self._free_at[description] - now)


def address_of(context: Any) -> str:
    """Where a client calls from: an IPv4 address, or the network of 64 bits of an IPv6 one."""
    peer = str(context.peer()).replace("%5B", "[").replace("%5D", "]")
    host = peer.partition(":")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return peer
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
