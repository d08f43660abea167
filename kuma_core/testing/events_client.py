"""A client of ``GET /events`` for tests: reads in a thread, and keeps what it was told with the moment of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually


@dataclass(frozen=True, slots=True)
class Told:
    """One event as a client got it; ``at`` is the moment by the test's monotonic clock."""

    id: str
    type: str
    data: dict[str, Any]
    at: float = field(compare=False)


class Follower:
    """What one connection told so far. ``status`` is that of the answer."""

    def __init__(self, port: int, query: str = "", last_id: str = "", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        sent = {**headers, **({"Last-Event-ID": last_id} if last_id else {})}
        self._connection.request("GET", "/events" + (f"?{query}" if query else ""), headers=sent)
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self.status, self.headers = self._answer.status, dict(self._answer.headers)
        self.told: list[Told] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="events-client", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        found: dict[str, str] = {}
        with suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            for raw in self._answer:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name:
                    found[name] = value
                elif "data" in found:
                    self._take(found)
                    found = {}
        self.ended.set()

    def _take(self, found: dict[str, str]) -> None:
        data = json.loads(found["data"])
        self.told.append(Told(found["id"], found["event"], data, time.monotonic()))

    def of(self, type: str, **members: str) -> list[Told]:
        """The events of a type with these members."""
        return [
            item
            for item in list(self.told)
            if item.type == type and members.items() <= {key: str(v) for key, v in item.data.items()}.items()
        ]

    def wait_for(self, type: str, seconds: float = 30.0, **members: str) -> Told:
        """The first event of a type with these members."""
        what = f"an event {type} {members} among {self.told}"
        return eventually(lambda: self.of(type, **members), seconds, what)[0]

    def close(self) -> None:
        """Leave."""
        with suppress(OSError):
            self._socket.shutdown(2)
        self._thread.join(timeout=10)
        self._connection.close()


@contextmanager
def following(cp: RunningPlatform, query: str = "", last_id: str = "", **headers: str) -> Iterator[Follower]:
    """A client of a control plane's events that follows already, until the block ends."""
    follower = Follower(cp.events, query, last_id, **headers)
    try:
        eventually(lambda: follower.told, what="the first words to a client of events")
        yield follower
    finally:
        follower.close()
