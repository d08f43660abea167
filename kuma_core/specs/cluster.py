"""What several control planes over one store keep for each other; no API serves it, no proxy is touched by it."""

from __future__ import annotations

from pydantic import Field

from kuma_core.specs.base import Spec, UInt64


class LeaseSpec(Spec):
    """Who may do what one control plane alone may do. It is alive while ``beats`` grows.

    Whoever wants it measures with its own clock how long ``beats`` stood still; nobody's clock is compared with
    another's. ``holder`` is an instance id, empty once it was given back.
    """

    holder: str = ""
    beats: UInt64 = 0


class InstanceSpec(Spec):
    """A control plane that runs: it is alive while ``beats`` grows.

    ``settled`` names, by mesh, the stage of a certificate authority's rotation that all of this instance's
    proxies have acknowledged.
    """

    beats: UInt64 = 0
    version: str = ""
    settled: dict[str, str] = Field(default_factory=dict)


class MeshDeletionSpec(Spec):
    """A mesh is being deleted by ``holder``, which is alive while ``beats`` grows."""

    holder: str = ""
    beats: UInt64 = 0
