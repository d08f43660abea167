"""The roots of a mesh as the admin server shows them, and the way from one to the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kuma_core.sdk.kumactl import ApiError, Client, Unreachable, known_shape, printable

HEADER = ("SHA-256 FINGERPRINT", "NOT VALID BEFORE", "NOT VALID AFTER", "SIGNS")

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 120.0
"""For how long a control plane may be away while it is waited for."""

_STAGES = {
    "trusting": "the new root is trusted too, the old one signs",
    "signing": "the new root signs, the old one is still trusted",
}


@dataclass(frozen=True, slots=True)
class Roots:
    """The rows of the roots, the one that signs first; and where a rotation is, ``""`` if there is none."""

    rows: list[list[str]]
    stage: str
    since: str
    settled: int
    control_planes: int

    @property
    def signer(self) -> str:
        """The fingerprint of the root that signs."""
        return next((row[0] for row in self.rows if row[3]), "")

    @property
    def progress(self) -> str:
        """How far a rotation is, in words."""
        if not self.stage:
            return "no rotation goes on"
        return (
            f"{self.stage} since {self.since} ({_STAGES.get(self.stage, 'a stage that kumactl does not know')}): "
            f"acknowledged by all proxies of {self.settled} of {self.control_planes} control planes"
        )


def roots(client: Client, path: str) -> Roots:
    """Ask the admin server. Raises ApiError or Unreachable."""
    return read(client.get(path), client.url)


def read(value: dict[str, Any], place: str) -> Roots:
    """The answer of the admin server at ``place``; raises Unreachable for what is none."""
    with known_shape(place):
        rows = [_row(root) for root in value["roots"]]
        rotation = value.get("rotation") or {"stage": "", "since": "", "settled": {}}
        settled = list(rotation["settled"].values())
        stage, since = printable(str(rotation["stage"])), printable(str(rotation["since"]))
        return Roots(rows, stage, since, settled.count(True), len(settled))


def _row(root: dict[str, Any]) -> list[str]:
    times = [
        str(root[name]).replace("T", " ").replace("Z", " +0000 UTC") for name in ("notBefore", "notAfter")
    ]
    return [printable(str(root["sha256"])), *map(printable, times), "yes" if root["signs"] else ""]


def follow(
    ask: Callable[[], Roots],
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Roots]:
    """What is new about a rotation, until it is over; the last word is the state after it.

    A control plane that is away for a while is waited for; afterwards raises what it answered last.
    """
    told, last_answer = "", clock()
    while True:
        try:
            found = ask()
        except (ApiError, Unreachable) as error:
            refused = isinstance(error, ApiError) and error.status < 500
            if refused or clock() - last_answer > PATIENCE_SECONDS:
                raise
            wait(POLL_SECONDS)
            continue
        last_answer = clock()
        if not found.stage or found.progress != told:
            told = found.progress
            yield found
        if not found.stage:
            return
        wait(POLL_SECONDS)
