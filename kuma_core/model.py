"""What a resource is: its key, its kind and its value.

Pure values without I/O, and without pydantic, so that the light programs (kumactl, kuma-dp) may use them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kuma_core.errors import NotFound

META = ("type", "mesh", "name")
"""The keys of a document that are no part of the spec; they are matched without regard to case."""


class Scope(Enum):
    """Whether resources of a kind belong to a mesh or stand for themselves."""

    MESH = "mesh"
    GLOBAL = "global"


class CellFormat(Enum):
    """How ``kumactl`` shows a value in a table."""

    TEXT = "text"
    TAGS = "tags"
    ON_OFF = "onOff"
    AGE = "age"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Column:
    """One more column of a kind's table: its heading, where its value is found, how it is shown.

    ``path`` is a dotted path into the JSON of an item. A step ``*`` goes through every element of a list or
    every value of an object. Several paths separated by ``|`` are gathered. A path that ends in ``?`` yields
    the names of the members found there instead of their values. ``default`` is shown where nothing is found.
    """

    header: str
    path: str
    format: CellFormat = CellFormat.TEXT
    default: str = ""


@dataclass(frozen=True, slots=True, order=True)
class ResourceKey:
    """The address of a resource. A global resource has its own name as ``mesh``."""

    type: str
    mesh: str
    name: str

    def __str__(self) -> str:
        return f'type="{self.type}" name="{self.name}" mesh="{self.mesh}"'


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as the rooms above the store know it.

    ``spec`` is a frozen model of the kind's own class; ``version`` is the store's opaque word for this
    state of it, or ``""`` while it was never stored.
    """

    key: ResourceKey
    spec: Any
    version: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The resource's own name."""
        return self.key.name

    @property
    def mesh(self) -> str:
        """The mesh that it lives in; for a Mesh its own name."""
        return self.key.mesh


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind of resource, as a plugin registers it.

    ``spec`` is a subclass of ``kuma_core.sdk.Spec``. ``path`` is the collection in the URL, and
    ``path_aliases`` are other spellings of it that REST answers too; ``singular`` and ``aliases`` are what
    the command line takes beside it. What ``affects_proxies`` is in the view of a mesh: a change of it generates those
    proxies anew whose generators or policies asked for it. A kind that is not ``stored`` is computed; whoever registers
    it also registers the routes that serve it. A kind that is not ``served`` appears in no API at all. A kind of
    ``status`` is what control planes write of other resources: it is no part of an export. Of a kind that is not
    ``watched`` no change listener need hear, but of those writes for which ``worth_telling(before, after)``, which gets
    two specs (``None`` where there is none), says so. A resource with an ``owner``, which is another kind, goes when
    the resource of that kind with its mesh and name is deleted.
    """

    name: str
    path: str
    spec: type[Any]
    singular: str
    aliases: tuple[str, ...] = ()
    scope: Scope = Scope.MESH
    read_only: bool = False
    stored: bool = True
    served: bool = True
    affects_proxies: bool = True
    status: bool = False
    watched: bool = True
    owner: str = ""
    columns: tuple[Column, ...] = ()
    path_aliases: tuple[str, ...] = ()
    worth_telling: Callable[[Any, Any], bool] | None = None

    def key(self, mesh: str, name: str) -> ResourceKey:
        """The key of a resource of this kind; ``mesh`` counts for nothing if the kind is global."""
        return ResourceKey(self.name, name if self.scope is Scope.GLOBAL else mesh, name)


def not_found(key: ResourceKey) -> NotFound:
    """The error that every store raises for a key that it does not hold."""
    return NotFound(f"Resource not found: {key}")
