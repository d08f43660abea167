"""What a plugin says to have something served by the REST API."""

from __future__ import annotations

from dataclasses import dataclass

from kuma_core.auth.contract import Right


@dataclass(frozen=True, slots=True)
class Route:
    """A falcon resource and the template of its path, e.g. ``/meshes/{mesh}/explain``.

    A template may not be one that is served already, nor differ from such a one by names in braces alone.
    ``right`` is the class of its GET, ``writes`` that of every other method. A route that says nothing is for admins
    alone. ``decides`` says that its responder itself asks whether a user who is no admin may write (``api.access``),
    since only it knows what would be written. ``kind`` is the kind of resources that it serves, if it serves one.

    A ``confidential`` route gives secrets away, or takes them: the admin server serves it over its Unix socket and by
    HTTPS alone, for on loopback everybody of the machine may ask.
    """

    template: str
    resource: object
    confidential: bool = False
    right: Right | None = None
    writes: Right = Right.ADMIN
    decides: bool = False
    kind: str = ""
