"""What a plugin says to have something served by the REST API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """A falcon resource and the template of its path, e.g. ``/meshes/{mesh}/explain``.

    A template may not be one that is served already, nor differ from such a one by names in braces alone.
    A ``confidential`` route gives secrets away, or takes them: the admin server serves it over its Unix socket and by
    HTTPS alone, for on loopback everybody of the machine may ask.
    """

    template: str
    resource: object
    confidential: bool = False
