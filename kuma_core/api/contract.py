"""What a plugin says to have something served by the REST API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """A falcon resource and the template of its path, e.g. ``/meshes/{mesh}/explain``.

    A template may not be one that is served already, nor differ from such a one by names in braces alone.
    """

    template: str
    resource: object
