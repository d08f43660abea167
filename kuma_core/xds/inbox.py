"""What comes to the reconciler, from whatever thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from kuma_core.resources.contract import Change
from kuma_core.specs.mesh import MESH
from kuma_core.xds.mesh_views import MeshViews
from kuma_core.xds.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Opened:
    """A proxy opened its first stream."""

    proxy: Proxy


@dataclass(frozen=True, slots=True)
class Closed:
    """A proxy closed its last stream."""

    proxy: Proxy


@dataclass(frozen=True, slots=True)
class Question:
    """Something to look up between two passes, when the views are whole."""

    look: Callable[[MeshViews], Any]
    answer: Future[Any]


@dataclass(slots=True)
class Fence:
    """Answered when all that came before it is handed to the streams: after so many more rounds of these meshes.

    ``left`` is ``None`` until the views show what came before it.
    """

    answer: Future[None]
    left: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Something is ready that proxies waited for."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class Renewed:
    """What every proxy gets may be another now, although nothing in the store changed."""


Item = Change | Opened | Closed | Question | Fence | Prepared | Renewed


def mesh_of(change: Change) -> str:
    """In whose burst a change is gathered; ``""`` for one that may concern several meshes."""
    if change.key is None:
        return ""
    return change.key.name if change.key.type == MESH else change.key.mesh
