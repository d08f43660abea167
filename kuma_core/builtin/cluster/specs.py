"""What several control planes over one store keep for each other; no API serves it, and it touches no proxy."""

from __future__ import annotations

from pydantic import Field

from kuma_core.specs.base import Spec, UInt64


class LeaseSpec(Spec):
    """Who may do what only one may do at a time; empty after its holder gave it back.

    The holder is alive while ``beats`` grows: who wants its place measures with a clock of its own how long the
    record stood still. Nobody compares clocks. ``term`` grows whenever somebody else takes it, also after it was given
    back, so that what was written for an earlier holder can be told apart.
    """

    holder: str = ""
    beats: UInt64 = 0
    term: UInt64 = 0


class InstanceSpec(Spec):
    """A control plane that runs: it is alive while ``beats`` grows.

    ``notes`` are what the features of this one have all control planes know of it, by topic and key.
    """

    beats: UInt64 = 0
    version: str = ""
    notes: dict[str, dict[str, str]] = Field(default_factory=dict)
