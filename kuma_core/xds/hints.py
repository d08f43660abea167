"""What an operator can do about a rejection, told by Envoy's own words for it."""

from __future__ import annotations

_HINTS = (
    (
        "cannot be changed during an update",
        "A running listener keeps the form that it was started with: restart kuma-dp of this dataplane.",
    ),
    (
        "Address already in use",
        "Something else on that machine listens there, perhaps another sidecar: give one of them another port. "
        "A metrics port is changed for one Dataplane with its own metrics.prometheus.port.",
    ),
    (
        "unable to open file",
        "Envoy itself cannot open this access log, and refuses the listener: make its folder, or restart kuma-dp "
        "in this version, which writes access logs into files itself and holds no traffic up.",
    ),
)
"""A part of Envoy's text, and the advice; a text may have several parts."""


def hint(rejection: str) -> str:
    """The advice for a rejection, in whole sentences; empty if there is none."""
    return " ".join(advice for words, advice in _HINTS if words in rejection)
