"""How long a client of an HTTP server may take, for the whole of each thing: one more byte buys no more time."""

from __future__ import annotations

MIB = 1024 * 1024

HEAD_SECONDS = 10.0
"""From the first byte of a request, or from the connection, to the end of its head."""

BODY_SECONDS = 10.0
"""For each MiB of a body."""

IDLE_SECONDS = 60.0
"""Between two requests."""

ANSWER_SECONDS = 20.0
"""For each MiB of an answer; connections are slower for those who read than for those who write."""


def body_deadline(began: float, received: int) -> float:
    """When the next MiB of a body has to be there."""
    return began + BODY_SECONDS * (1 + received // MIB)


def answer_deadline(began: float, sent: int) -> float:
    """When the next MiB of an answer has to be taken."""
    return began + ANSWER_SECONDS * (1 + sent // MIB)
